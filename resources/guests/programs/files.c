// What tests do with a mounted share, in the guest.
//
//     files posix DIR             what POSIX says of names, modes, times, links and locks
//     files exercise DIR SEED N   N random reads, writes, mappings and cuts of a file, against a
//                                 copy of it in memory
//     files know DIR COUNT        makes the kernel know that many files of a flat directory that
//                                 has them as 0, 1, 2, ... and keeps them
//     files race DIR SECONDS      opens and reads DIR/a/b/secret again and again; says what it read
//
// Each says what failed as failed=TEXT, and "done=MODE" at its end.
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define IS(what) ((what) ? (void)0 : (void)printf("failed=line %d: %s (%s)\n", __LINE__, #what, strerror(errno)))
// That `call` fails with `number`.
#define FAILS(number, call) (errno = 0, IS((call) < 0 && errno == (number)))

static struct stat look(const char *path)
{
    struct stat st = { 0 };
    IS(lstat(path, &st) == 0);
    return st;
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    IS(fd >= 0);
    IS(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    IS(close(fd) == 0);
}

static const char *get(const char *path)
{
    static char text[64];
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, text, sizeof text - 1);
    IS(fd >= 0 && len >= 0);
    text[len < 0 ? 0 : len] = 0;
    close(fd);
    return text;
}

static void names(void)
{
    IS(mkdir("d", 0755) == 0);
    FAILS(EEXIST, mkdir("d", 0755));
    FAILS(ENOENT, mkdir("none/d", 0755));
    put("f", "one");
    FAILS(ENOTDIR, mkdir("f/d", 0755));
    FAILS(EEXIST, open("f", O_CREAT | O_EXCL | O_WRONLY, 0644));
    FAILS(EISDIR, open("d", O_WRONLY));
    FAILS(ENOENT, open("none", O_RDONLY));
    FAILS(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[255] = 0;
    put(longest, "");
    IS(unlink(longest) == 0);
    longest[255] = 'x';
    longest[256] = 0;
    FAILS(ENAMETOOLONG, open(longest, O_CREAT | O_WRONLY, 0644));
    IS(rename("f", "d/g") == 0);
    FAILS(ENOENT, rename("f", "h"));
    put("h", "two");
    IS(rename("h", "d/g") == 0 && !strcmp(get("d/g"), "two"));
    IS(mkdir("e", 0755) == 0);
    IS(rename("e", "d/e") == 0);
    FAILS(EINVAL, rename("d", "d/e/d"));
    IS(rename("d/e", "d") < 0 && (errno == ENOTEMPTY || errno == EEXIST));
    FAILS(EISDIR, rename("d/g", "d/e"));
    FAILS(ENOTDIR, rename("d/e", "d/g"));
    FAILS(EEXIST, renameat2(AT_FDCWD, "d/g", AT_FDCWD, "d/e", RENAME_NOREPLACE));
    IS(renameat2(AT_FDCWD, "d/g", AT_FDCWD, "d/e", RENAME_EXCHANGE) == 0);
    IS(S_ISDIR(look("d/g").st_mode) && S_ISREG(look("d/e").st_mode));
    FAILS(ENOTEMPTY, rmdir("d"));
    FAILS(ENOTDIR, rmdir("d/e"));
    FAILS(EISDIR, unlink("d/g"));
    IS(unlink("d/e") == 0 && rmdir("d/g") == 0 && rmdir("d") == 0);
    FAILS(ENOENT, unlink("d"));
}

static void links(void)
{
    put("f", "text");
    IS(look("f").st_nlink == 1);
    IS(link("f", "g") == 0);
    IS(look("f").st_nlink == 2 && look("f").st_ino == look("g").st_ino);
    FAILS(EEXIST, link("f", "g"));
    FAILS(ENOENT, link("none", "h"));
    IS(unlink("f") == 0 && !strcmp(get("g"), "text") && look("g").st_nlink == 1);
    IS(symlink("g", "s") == 0 && !strcmp(get("s"), "text"));
    FAILS(EEXIST, symlink("g", "s"));
    char target[8] = { 0 };
    IS(readlink("s", target, sizeof target) == 1 && !strcmp(target, "g"));
    FAILS(EINVAL, readlink("g", target, sizeof target));
    IS(look("s").st_size == 1 && S_ISLNK(look("s").st_mode));
    IS(link("s", "t") == 0 && S_ISLNK(look("t").st_mode));
    IS(unlink("s") == 0 && unlink("t") == 0 && !strcmp(get("g"), "text"));
    IS(symlink("loop", "loop") == 0);
    FAILS(ELOOP, open("loop", O_RDONLY));
    FAILS(ELOOP, open("loop", O_RDONLY | O_NOFOLLOW));
    IS(unlink("loop") == 0 && unlink("g") == 0);
    // A file goes when nobody has it open any more.
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    IS(unlink("f") == 0 && write(fd, "x", 1) == 1);
    struct stat st;
    IS(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 1);
    IS(ftruncate(fd, 5) == 0 && fstat(fd, &st) == 0 && st.st_size == 5);
    IS(close(fd) == 0);
}

static void modes(void)
{
    umask(022);
    put("f", "text");
    IS((look("f").st_mode & 07777) == 0644);
    for (unsigned mode = 0; mode < 01000; mode += 0111)
        IS(chmod("f", mode) == 0 && (look("f").st_mode & 07777) == mode);
    IS(chmod("f", 04755) == 0 && (look("f").st_mode & 07777) == 04755);
    // Who is not root takes special rights away by writing; root's are kept by Linux.
    umask(077);
    IS(mkdir("d", 0777) == 0 && (look("d").st_mode & 0777) == 0700);
    IS(mkfifo("p", 0666) == 0 && look("p").st_mode == (S_IFIFO | 0600));
    IS(rmdir("d") == 0 && unlink("p") == 0);
    umask(0);
    int fd = open("n", O_CREAT | O_RDWR, 0444);
    IS(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
    IS((look("n").st_mode & 07777) == 0444);
    IS(unlink("n") == 0 && unlink("f") == 0);
    umask(022);
}

static void times(void)
{
    put("f", "text");
    struct timespec set[2] = { { 1000000000, 123456789 }, { 1500000000, 987654321 } };
    IS(utimensat(AT_FDCWD, "f", set, 0) == 0);
    struct stat st = look("f");
    IS(st.st_atim.tv_sec == 1000000000 && st.st_atim.tv_nsec == 123456789);
    IS(st.st_mtim.tv_sec == 1500000000 && st.st_mtim.tv_nsec == 987654321);
    struct timespec some[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
    IS(utimensat(AT_FDCWD, "f", some, 0) == 0);
    st = look("f");
    IS(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec != 1500000000);
    IS(symlink("f", "s") == 0 && utimensat(AT_FDCWD, "s", set, AT_SYMLINK_NOFOLLOW) == 0);
    IS(look("s").st_mtim.tv_sec == 1500000000 && look("f").st_mtim.tv_sec != 1500000000);
    IS(unlink("s") == 0);
    // What changes is seen by its times.
    IS(utimensat(AT_FDCWD, "f", set, 0) == 0);
    int fd = open("f", O_WRONLY | O_APPEND);
    IS(write(fd, "more", 4) == 4 && close(fd) == 0);
    IS(look("f").st_mtim.tv_sec != 1500000000 && look("f").st_size == 8);
    IS(truncate("f", 2) == 0 && look("f").st_size == 2 && !strcmp(get("f"), "te"));
    IS(truncate("f", 6) == 0 && look("f").st_size == 6);
    FAILS(EINVAL, truncate("f", -1));
    FAILS(EISDIR, truncate(".", 0));
    IS(unlink("f") == 0);
}

static void directories(void)
{
    IS(mkdir("many", 0755) == 0 && chdir("many") == 0);
    for (int i = 0; i < 500; i++) {
        char name[32];
        snprintf(name, sizeof name, "a name that is %d", i);
        put(name, "");
    }
    // While it is read, each goes away.
    DIR *dir = opendir(".");
    int seen = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] == 'a') {
            seen++;
            IS(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
            IS(unlink(entry->d_name) == 0);
        }
    closedir(dir);
    IS(seen == 500);
    IS(chdir("..") == 0 && rmdir("many") == 0);
    struct statvfs fs;
    IS(statvfs(".", &fs) == 0 && fs.f_blocks > 0 && fs.f_namemax >= 255);
}

static void locks(void)
{
    int a = open("l", O_RDWR | O_CREAT, 0644), b = open("l", O_RDWR);
    IS(flock(a, LOCK_EX | LOCK_NB) == 0);
    FAILS(EWOULDBLOCK, flock(b, LOCK_SH | LOCK_NB));
    IS(flock(a, LOCK_UN) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
    IS(fcntl(a, F_SETLK, &range) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct flock other = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1 };
        int refused = fcntl(b, F_SETLK, &other) < 0 && (errno == EAGAIN || errno == EACCES);
        other.l_start = 15;
        int granted = fcntl(b, F_SETLK, &other) == 0;
        _exit(refused && granted ? 0 : 1);
    }
    int status = 1;
    IS(waitpid(child, &status, 0) == child && status == 0);
    IS(close(a) == 0 && close(b) == 0 && unlink("l") == 0);
}

static void posix(void)
{
    names();
    links();
    modes();
    times();
    directories();
    locks();
}

#define MOST (1 << 20)
static unsigned char copy[MOST], found[MOST];

static uint32_t random_number(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33) % below;
}

// One step; false if the file is not what it should be.
static int step(int fd, uint64_t *state, size_t *size)
{
    size_t at = random_number(state, MOST - 1);
    size_t len = 1 + random_number(state, (uint32_t)(MOST - at < 70000 ? MOST - at : 70000));
    switch (random_number(state, 7)) {
    case 0:
    case 1: {
        for (size_t i = 0; i < len; i++)
            found[i] = (unsigned char)random_number(state, 256);
        if (pwrite(fd, found, len, (off_t)at) != (ssize_t)len)
            return 0;
        memcpy(copy + at, found, len);
        if (at + len > *size)
            *size = at + len;
        return 1;
    }
    case 2: {
        if (ftruncate(fd, (off_t)at))
            return 0;
        if (at < *size)
            memset(copy + at, 0, *size - at);
        *size = at;
        return 1;
    }
    case 3: {
        if (at + len > *size)
            return 1;
        unsigned char *map = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            return 0;
        int same = !memcmp(map + at, copy + at, len);
        memset(map + at, (int)len, len);
        memset(copy + at, (int)len, len);
        return munmap(map, *size) == 0 && same;
    }
    case 4:
        return fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
    default: {
        ssize_t want = at >= *size ? 0 : (ssize_t)(*size - at < len ? *size - at : len);
        return pread(fd, found, len, (off_t)at) == want && !memcmp(found, copy + at, (size_t)want);
    }
    }
}

static void exercise(const char *seed, const char *steps)
{
    uint64_t state = strtoull(seed, NULL, 10);
    long count = atol(steps);
    size_t size = 0;
    int fd = open("exercise", O_RDWR | O_CREAT | O_TRUNC, 0644);
    IS(fd >= 0);
    for (long i = 0; i < count; i++)
        if (!step(fd, &state, &size)) {
            printf("failed=seed %s, step %ld of %ld (%s)\n", seed, i, count, strerror(errno));
            break;
        }
    struct stat st;
    IS(fstat(fd, &st) == 0 && (size_t)st.st_size == size);
    IS(close(fd) == 0);
}

static void know(const char *count)
{
    long known = 0, most = atol(count);
    int refused = 0;
    for (; known < most; known++) {
        char name[32];
        struct stat st;
        snprintf(name, sizeof name, "%ld", known);
        if (lstat(name, &st)) {
            refused = errno;
            break;
        }
    }
    printf("known=%ld\nrefused=%s\n", known, refused ? strerror(refused) : "nothing");
}

static void race(const char *seconds)
{
    time_t end = time(NULL) + atol(seconds);
    long tries = 0, inside = 0;
    while (time(NULL) < end) {
        tries++;
        int fd = open("a/b/secret", O_RDONLY);
        char text[16] = { 0 };
        if (fd >= 0 && read(fd, text, sizeof text - 1) >= 0) {
            inside += !strcmp(text, "inside");
            if (strcmp(text, "inside") && *text)
                printf("failed=read %s\n", text);
        }
        if (fd >= 0)
            close(fd);
    }
    printf("tries=%ld\ninside=%ld\n", tries, inside);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        errx(2, "usage: files posix|exercise|know|race DIR [ARG]...");
    if (chdir(argv[2]))
        err(1, "%s", argv[2]);
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(argv[1], "posix"))
        posix();
    else if (!strcmp(argv[1], "exercise") && argc == 5)
        exercise(argv[3], argv[4]);
    else if (!strcmp(argv[1], "know") && argc == 4)
        know(argv[3]);
    else if (!strcmp(argv[1], "race") && argc == 4)
        race(argv[3]);
    else
        errx(2, "usage: files posix|exercise|know|race DIR [ARG]...");
    printf("done=%s\n", argv[1]);
}
