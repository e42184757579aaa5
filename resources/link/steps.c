// Steps through a program, all its threads, and prints where it was: each address of its image that
// it executed, in hexadecimal and relative to the image, in the order of the first time. From the
// first time that it comes to MARK on, it begins anew, after a line with the word MARK.
//
//     steps SECONDS MARK COMMAND [ARG...]
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned long first, end;

// Finds the image of a process that has just begun: a static one is all that has the file's name.
static void find_image(pid_t child, const char *file)
{
    char line[4096], *path = realpath(file, NULL);
    snprintf(line, sizeof line, "/proc/%d/maps", child);
    FILE *maps = fopen(line, "r");
    if (!path || !maps)
        err(1, "%s", file);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        if (strstr(line, path) && sscanf(line, "%lx-%lx", &from, &to) == 2) {
            first = first ? first : from;
            end = to;
        }
    }
    fclose(maps);
}

static pid_t start(char **argv)
{
    pid_t child = fork();
    if (child < 0)
        err(1, "fork");
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        dup2(2, 1); // what it prints is not ours
        execv(argv[0], argv);
        _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status))
        errx(1, "%s cannot be run", argv[0]);
    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
    return child;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        errx(2, "usage: steps SECONDS MARK COMMAND [ARG...]");
    time_t last = time(NULL) + atol(argv[1]);
    unsigned long mark = strtoul(argv[2], NULL, 16);
    pid_t child = start(argv + 3);
    find_image(child, argv[3]);
    char *seen = calloc(end - first, 1);
    if (!seen)
        err(1, "memory");
    ptrace(PTRACE_SINGLESTEP, child, 0, 0);
    int status, marked = 0;
    pid_t thread;
    while (time(NULL) < last && (thread = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status))
            continue;
        int number = WSTOPSIG(status);
        struct user_regs_struct registers;
        if (number == SIGTRAP && !ptrace(PTRACE_GETREGS, thread, 0, &registers)) {
            unsigned long at = registers.rip - first;
            if (at == mark && !marked++) {
                puts("MARK");
                memset(seen, 0, end - first);
            }
            if (at < end - first && !seen[at]) {
                seen[at] = 1;
                printf("%lx\n", at);
            }
        }
        int pass = number == SIGTRAP || number == SIGSTOP ? 0 : number;
        ptrace(PTRACE_SINGLESTEP, thread, 0, pass);
    }
    kill(child, SIGKILL);
    return 0;
}
