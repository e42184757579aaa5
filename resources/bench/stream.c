// One end of a byte stream through a socket, to find out how fast it is.
//
//     stream serve   ADDRESS send|receive MIB
//     stream connect ADDRESS send|receive MIB
//
// ADDRESS is unix:PATH or vsock:CID:PORT (CID is ignored by serve). serve says "ready" when it
// listens, takes one connection, and prints the nanoseconds from then until all MIB have arrived: whoever
// receives them answers with one byte, and whoever sends waits for it. connect prints nothing.
#include <err.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// What iperf3 hands over at once.
#define CHUNK (128 << 10)

union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_vm guest;
};

static char bytes[CHUNK];

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// Reads "unix:PATH" or "vsock:CID:PORT"; returns the address's length.
static socklen_t parse(const char *text, union address *address)
{
    unsigned cid, port;
    memset(address, 0, sizeof *address);
    if (strncmp(text, "unix:", 5) == 0 && strlen(text + 5) < sizeof address->local.sun_path) {
        address->local.sun_family = AF_UNIX;
        strcpy(address->local.sun_path, text + 5);
        return sizeof address->local;
    }
    if (sscanf(text, "vsock:%u:%u", &cid, &port) == 2) {
        address->guest.svm_family = AF_VSOCK;
        address->guest.svm_cid = cid;
        address->guest.svm_port = port;
        return sizeof address->guest;
    }
    errx(2, "%s is no address", text);
}

static int serve(const union address *address, socklen_t length)
{
    int listener = socket(address->any.sa_family, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, &address->any, length) || listen(listener, 1))
        err(1, "listening");
    puts("ready");
    fflush(stdout);
    int connection = accept(listener, NULL, NULL);
    if (connection < 0)
        err(1, "accepting");
    return connection;
}

static int reach(const union address *address, socklen_t length)
{
    int connection = socket(address->any.sa_family, SOCK_STREAM, 0);
    if (connection < 0 || connect(connection, &address->any, length))
        err(1, "connecting");
    return connection;
}

static void send_all(int to, long long count)
{
    while (count > 0) {
        ssize_t sent = write(to, bytes, count < CHUNK ? count : CHUNK);
        if (sent < 0)
            err(1, "sending");
        count -= sent;
    }
    if (read(to, bytes, 1) != 1)
        errx(1, "no answer came");
}

static void receive_all(int from, long long count)
{
    while (count > 0) {
        ssize_t received = read(from, bytes, count < CHUNK ? count : CHUNK);
        if (received <= 0)
            errx(1, "%lld bytes did not come", count);
        count -= received;
    }
    if (write(from, bytes, 1) != 1)
        err(1, "answering");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(2, "usage: stream serve|connect ADDRESS send|receive MIB");
    bool serves = strcmp(argv[1], "serve") == 0;
    union address address;
    socklen_t length = parse(argv[2], &address);
    int peer = serves ? serve(&address, length) : reach(&address, length);
    long long count = atoll(argv[4]) << 20, start = now();
    if (strcmp(argv[3], "send") == 0)
        send_all(peer, count);
    else
        receive_all(peer, count);
    if (serves)
        printf("%lld\n", now() - start);
    return 0;
}
