// What tests do with sockets between guest and host, in the guest.
//
//     vsock echo PORT             answers each connection with what it gets, until that ends
//     vsock hold PORT             takes connections and never reads
//     vsock send PORT BYTES       sends so many to the host, ends its half, reads all that comes
//     vsock many PORT COUNT       that many connections, one after the other, each with an answer
//     vsock open PORT COUNT       the same at once: all are open before the first is used
//
// Each says "listening=PORT" once clients may come, or at its end what it saw as name=value.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[64 << 10];

// Byte I of what is sent, as the tests have it too.
static uint8_t pattern(uint32_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static struct sockaddr_vm address(unsigned cid, const char *port)
{
    struct sockaddr_vm a = { .svm_family = AF_VSOCK, .svm_cid = cid };
    a.svm_port = (unsigned)strtoul(port, NULL, 10);
    return a;
}

static int listener(const char *port)
{
    struct sockaddr_vm a = address(VMADDR_CID_ANY, port);
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 128))
        err(1, "listen at port %s", port);
    printf("listening=%s\n", port);
    return fd;
}

static int connected(const char *port)
{
    struct sockaddr_vm a = address(VMADDR_CID_HOST, port);
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0)
        err(1, "socket");
    if (connect(fd, (struct sockaddr *)&a, sizeof a)) {
        printf("refused=%s\n", strerror(errno));
        exit(3);
    }
    return fd;
}

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t done = write(fd, bytes, length);
        if (done < 0)
            err(1, "write");
        bytes += done;
        length -= (size_t)done;
    }
}

static void echo(int fd)
{
    ssize_t length;
    while ((length = read(fd, buffer, sizeof buffer)) > 0)
        write_all(fd, buffer, (size_t)length);
    if (length < 0)
        err(1, "read");
}

static void serve(const char *port, int is_echo)
{
    int fd = listener(port);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int client = accept(fd, NULL, NULL);
        if (client < 0)
            err(1, "accept");
        if (fork() == 0) {
            if (!is_echo)
                pause();
            echo(client);
            _exit(0);
        }
        close(client);
    }
}

static void send_and_read(const char *port, uint32_t total)
{
    int fd = connected(port);
    uint32_t sent = 0, received = 0, hash = 0x811c9dc5;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (total == 0)
        shutdown(fd, SHUT_WR);
    for (;;) {
        struct pollfd p = { fd, POLLIN | (sent < total ? POLLOUT : 0), 0 };
        if (poll(&p, 1, -1) < 0)
            err(1, "poll");
        if (sent < total && p.revents & POLLOUT) {
            size_t length = total - sent < sizeof buffer ? total - sent : sizeof buffer;
            for (size_t i = 0; i < length; i++)
                buffer[i] = (char)pattern(sent + (uint32_t)i);
            ssize_t done = write(fd, buffer, length);
            if (done < 0 && errno != EAGAIN) {
                printf("write=%s\n", strerror(errno));
                total = sent;
            } else if (done > 0) {
                sent += (uint32_t)done;
            }
            if (sent == total)
                shutdown(fd, SHUT_WR);
        }
        if (p.revents & (POLLIN | POLLHUP | POLLERR)) {
            ssize_t length = read(fd, buffer, sizeof buffer);
            if (length == 0)
                break;
            if (length < 0 && errno == EAGAIN)
                continue;
            if (length < 0) {
                printf("read=%s\n", strerror(errno));
                break;
            }
            for (ssize_t i = 0; i < length; i++)
                hash = (hash ^ (uint8_t)buffer[i]) * 0x01000193;
            received += (uint32_t)length;
        }
    }
    printf("sent=%u\nreceived=%u\nhash=%u\n", sent, received, hash);
}

// Sends four bytes and expects them back.
static void ask(int fd, uint32_t number)
{
    uint32_t answer = ~number;
    write_all(fd, (const char *)&number, sizeof number);
    for (size_t done = 0; done < sizeof answer;) {
        ssize_t length = read(fd, (char *)&answer + done, sizeof answer - done);
        if (length <= 0)
            err(1, "no answer to %u", number);
        done += (size_t)length;
    }
    if (answer != number)
        errx(1, "another answer to %u", number);
}

static void many(const char *port, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int fd = connected(port);
        ask(fd, i);
        close(fd);
    }
    printf("answered=%u\n", count);
}

static void open_all(const char *port, uint32_t count)
{
    struct rlimit limit = { count + 16, count + 16 };
    int *fds = calloc(count, sizeof *fds);
    if (!fds || setrlimit(RLIMIT_NOFILE, &limit))
        err(1, "%u descriptors", count);
    for (uint32_t i = 0; i < count; i++)
        fds[i] = connected(port);
    printf("open=%u\n", count);
    for (uint32_t i = 0; i < count; i++)
        ask(fds[i], i);
    printf("answered=%u\n", count);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    uint32_t number = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(what, "echo") == 0)
        serve(argv[2], 1);
    else if (strcmp(what, "hold") == 0)
        serve(argv[2], 0);
    else if (strcmp(what, "send") == 0)
        send_and_read(argv[2], number);
    else if (strcmp(what, "many") == 0)
        many(argv[2], number);
    else if (strcmp(what, "open") == 0)
        open_all(argv[2], number);
    else
        errx(2, "usage: vsock echo|hold|send|many|open PORT [NUMBER]");
    return 0;
}
