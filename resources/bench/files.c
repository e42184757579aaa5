// Many small files: makes them, or reads them all and prints the nanoseconds that took; or the
// nanoseconds of a command.
//
//     files make DIR DIRECTORIES FILES BYTES
//     files read DIR DIRECTORIES FILES
//     files time COMMAND [ARG]...
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 16];

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void make(const char *path, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, buffer, size) != (ssize_t)size || close(fd))
        err(1, "%s", path);
}

static size_t take(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        err(1, "%s", path);
    size_t sum = 0;
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) != 0; sum += got)
        if (got < 0)
            err(1, "%s", path);
    close(fd);
    return sum;
}

static int64_t timed(char **command)
{
    int64_t start = now();
    int status;
    pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        err(127, "%s", command[0]);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0)
        err(1, "fork");
    if (status)
        errx(1, "%s failed", command[0]);
    return now() - start;
}

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "time")) {
        printf("%lld\n", (long long)timed(argv + 2));
        return 0;
    }
    int makes = argc == 6 && !strcmp(argv[1], "make");
    if (!makes && !(argc == 5 && !strcmp(argv[1], "read")))
        errx(2, "usage: files make DIR DIRECTORIES FILES BYTES | files read DIR DIRECTORIES FILES");
    int directories = atoi(argv[3]), files = atoi(argv[4]);
    size_t size = makes ? strtoul(argv[5], NULL, 10) : 0, sum = 0;
    if (size > sizeof buffer)
        errx(2, "at most %zu bytes", sizeof buffer);
    int64_t start = now();
    for (int d = 0; d < directories; d++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/directory-%d", argv[2], d);
        if (makes && mkdir(path, 0755))
            err(1, "%s", path);
        for (int f = 0; f < files; f++) {
            snprintf(path, sizeof path, "%s/directory-%d/file-%d", argv[2], d, f);
            if (makes)
                make(path, size);
            else
                sum += take(path);
        }
    }
    printf("%lld %zu\n", (long long)(now() - start), sum);
}
