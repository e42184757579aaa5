// Both ends of a pipeline, to find out how fast it is and whether every byte comes through.
//
//     bytes send MIB             writes that many to standard output
//     bytes receive MIB          reads as many from standard input, and compares each with what was sent
//     bytes receive MIB count    only counts them
//
// receive prints the nanoseconds from the first bytes to the end, and fails if anything is missing,
// wrong or too much.
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// What is sent is this many bytes, again and again. It is a prime number: a piece that is lost or
// comes twice shows, whatever the size of the buffers it went through.
#define PERIOD 1048573
// What cat hands over at once.
#define CHUNK (128 << 10)

static unsigned char pattern[PERIOD + CHUNK], buffer[CHUNK];

// Numbers without a pattern of their own (xorshift).
static void prepare(void)
{
    uint64_t state = 88172645463325252;
    for (size_t i = 0; i < PERIOD; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pattern[i] = (unsigned char)(state >> 32);
    }
    // So that a chunk is in one piece wherever it begins.
    memcpy(pattern + PERIOD, pattern, CHUNK);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void send_all(int64_t size)
{
    for (int64_t sent = 0; sent < size;) {
        size_t length = size - sent < CHUNK ? (size_t)(size - sent) : CHUNK;
        ssize_t written = write(STDOUT_FILENO, pattern + sent % PERIOD, length);
        if (written < 0)
            err(1, "sending");
        sent += written;
    }
}

static int64_t receive_all(int64_t size, int compares)
{
    int64_t received = 0, start = 0;
    ssize_t length;
    while ((length = read(STDIN_FILENO, buffer, CHUNK)) > 0) {
        if (!start)
            start = now();
        if (compares && memcmp(buffer, pattern + received % PERIOD, (size_t)length))
            errx(1, "wrong bytes behind %lld", (long long)received);
        received += length;
    }
    if (length < 0)
        err(1, "receiving");
    if (received != size)
        errx(1, "%lld bytes came instead of %lld", (long long)received, (long long)size);
    return now() - start;
}

int main(int argc, char **argv)
{
    int sends = argc == 3 && !strcmp(argv[1], "send");
    int counts = argc == 4 && !strcmp(argv[3], "count");
    if (!sends && !((argc == 3 || counts) && !strcmp(argv[1], "receive")))
        errx(2, "usage: bytes send MIB | bytes receive MIB [count]");
    int64_t size = atoll(argv[2]) << 20;
    prepare();
    if (sends)
        send_all(size);
    else
        printf("%lld\n", (long long)receive_all(size, !counts));
    return 0;
}
