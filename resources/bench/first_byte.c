// How long a program takes from its exec to the first byte of its guest.
//
//     first_byte COMMAND [ARG...]
//
// Starts COMMAND with stdin from /dev/null, waits until MARK comes from its stdout, kills it, and
// prints the nanoseconds between. The clock is read last thing before exec, so that nothing of
// whoever measures is in the result.
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MARK '~' // what guest.S writes
#define PATIENCE_MS 10000

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// Reads until MARK and returns the time then, or -1 if it does not come.
static long long wait_for_mark(int from)
{
    struct pollfd ready = { .fd = from, .events = POLLIN };
    char bytes[512];
    while (poll(&ready, 1, PATIENCE_MS) == 1) {
        ssize_t length = read(from, bytes, sizeof bytes);
        long long then = now();
        if (length <= 0)
            return -1;
        if (memchr(bytes, MARK, length))
            return then;
    }
    return -1;
}

int main(int argc, char **argv)
{
    // The child shares our memory until it execs: it leaves the time here.
    static volatile long long start;
    int out[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (argc < 2)
        errx(2, "usage: first_byte COMMAND [ARG...]");
    if (null < 0 || pipe2(out, O_CLOEXEC))
        err(1, "/dev/null and a pipe");

    pid_t child = vfork();
    if (child < 0)
        err(1, "vfork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, 0);
        dup2(out[1], 1);
        start = now();
        execv(argv[1], argv + 1);
        _exit(127);
    }
    close(out[1]);
    long long end = wait_for_mark(out[0]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    if (end < 0)
        errx(1, "%s: its guest wrote nothing", argv[1]);
    printf("%lld\n", end - start);
    return 0;
}
