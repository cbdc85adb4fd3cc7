/* A disk that is full or slow, between PostgreSQL and the real one (LD_PRELOAD).
 *
 * The first byte of the file that FAULT_DISK names says which: F, nothing grows any more, as on a
 * full disk; S, every flush takes a third of a second longer; anything else, nothing is done.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int state(void)
{
    const char *path = getenv("FAULT_DISK");
    char found = 0;
    int file = path ? open(path, O_RDONLY) : -1;
    if (file >= 0) {
        if (read(file, &found, 1) != 1)
            found = 0;
        close(file);
    }
    return found;
}

static int grows(int file, off_t end)
{
    struct stat status;
    return fstat(file, &status) == 0 && S_ISREG(status.st_mode) && end > status.st_size;
}

static int refused(int file, off_t end)
{
    return state() == 'F' && grows(file, end);
}

ssize_t pwrite(int file, const void *from, size_t bytes, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite");
    if (refused(file, at + (off_t)bytes)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, from, bytes, at);
}

ssize_t pwrite64(int file, const void *from, size_t bytes, off_t at)
{
    return pwrite(file, from, bytes, at);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at)
{
    ssize_t (*real)(int, const struct iovec *, int, off_t) = dlsym(RTLD_NEXT, "pwritev");
    off_t end = at;
    for (int part = 0; part < count; part++)
        end += (off_t)parts[part].iov_len;
    if (refused(file, end)) {
        errno = ENOSPC;
        return -1;
    }
    return real(file, parts, count, at);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off_t at)
{
    return pwritev(file, parts, count, at);
}

int posix_fallocate(int file, off_t at, off_t bytes)
{
    int (*real)(int, off_t, off_t) = dlsym(RTLD_NEXT, "posix_fallocate");
    return refused(file, at + bytes) ? ENOSPC : real(file, at, bytes);
}

int posix_fallocate64(int file, off_t at, off_t bytes)
{
    return posix_fallocate(file, at, bytes);
}

static void linger(void)
{
    if (state() == 'S')
        usleep(300000);
}

int fdatasync(int file)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fdatasync");
    linger();
    return real(file);
}

int fsync(int file)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
    linger();
    return real(file);
}
