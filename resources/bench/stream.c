// One end of a byte stream through a socket, to find out how fast it is.
//
//     stream serve   ADDRESS send|receive MIB [BUFFER]
//     stream connect ADDRESS send|receive MIB [BUFFER]
//
// BUFFER is how many bytes may be on their way, for which a program asks the kernel that wants to be
// fast (SO_VM_SOCKETS_BUFFER_SIZE, SO_SNDBUF); the kernel's own choice if it is missing or 0.
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

// Lets that many bytes be on their way; with 0 as many as the kernel likes.
static void enlarge(int socket, int family, unsigned long long size)
{
    int bytes = size;
    if (size == 0)
        return;
    if (family == AF_VSOCK) {
        if (setsockopt(socket, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size, sizeof size) ||
            setsockopt(socket, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof size))
            err(1, "enlarging a buffer");
    } else if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) ||
               setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes)) {
        err(1, "enlarging a buffer");
    }
}

static int serve(const union address *address, socklen_t length, unsigned long long buffer)
{
    int listener = socket(address->any.sa_family, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, &address->any, length) || listen(listener, 1))
        err(1, "listening");
    puts("ready");
    fflush(stdout);
    int connection = accept(listener, NULL, NULL);
    if (connection < 0)
        err(1, "accepting");
    enlarge(connection, address->any.sa_family, buffer);
    return connection;
}

static int reach(const union address *address, socklen_t length, unsigned long long buffer)
{
    int connection = socket(address->any.sa_family, SOCK_STREAM, 0);
    if (connection >= 0)
        enlarge(connection, address->any.sa_family, buffer);
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
    if (argc != 5 && argc != 6)
        errx(2, "usage: stream serve|connect ADDRESS send|receive MIB [BUFFER]");
    bool serves = strcmp(argv[1], "serve") == 0;
    union address address;
    socklen_t length = parse(argv[2], &address);
    unsigned long long buffer = argc == 6 ? strtoull(argv[5], NULL, 10) : 0;
    int peer = serves ? serve(&address, length, buffer) : reach(&address, length, buffer);
    long long count = atoll(argv[4]) << 20, start = now();
    if (strcmp(argv[3], "send") == 0)
        send_all(peer, count);
    else
        receive_all(peer, count);
    if (serves)
        printf("%lld\n", now() - start);
    return 0;
}
