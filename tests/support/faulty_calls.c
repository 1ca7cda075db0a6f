/* Preloaded into a process, this ends it before the n-th call that changes a file (fault_arm).
   HOW 0: the call is not made. 1: half of a write is made. 2: the disk is full from there on. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long at = -1, seen = 0;
static int how = 0;

void fault_arm(long n, int what) { at = n; how = what; __atomic_store_n(&seen, 0, __ATOMIC_SEQ_CST); }
long fault_seen(void) { return __atomic_load_n(&seen, __ATOMIC_SEQ_CST); }

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* 0: make the call. 1: make half of it and die. 2: fail. */
static int next_call(int is_write) {
  if (at < 0) return 0;
  long mine = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
  if (how == 2) return mine >= at && at > 0 ? 2 : 0;
  if (mine != at) return 0;
  if (how == 1 && is_write) return 1;
  die();
  return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAILED (errno = ENOSPC, -1)
#define CALL(name, ...) do { \
    static __typeof__(&name) real; if (!real) real = REAL(name); \
    return next_call(0) == 2 ? FAILED : real(__VA_ARGS__); } while (0)
#define ALWAYS(name, ...) do { \
    static __typeof__(&name) real; if (!real) real = REAL(name); \
    next_call(0); return real(__VA_ARGS__); } while (0)
#define WRITE(name, half, ...) do { \
    static __typeof__(&name) real; if (!real) real = REAL(name); \
    switch (next_call(1)) { case 1: (void)!(half); die(); case 2: return FAILED; } \
    return real(__VA_ARGS__); } while (0)

ssize_t write(int f, const void *b, size_t n) { WRITE(write, real(f, b, n / 2), f, b, n); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) { WRITE(pwrite, real(f, b, n / 2, o), f, b, n, o); }
ssize_t pwrite64(int f, const void *b, size_t n, off64_t o) { WRITE(pwrite64, real(f, b, n / 2, o), f, b, n, o); }
ssize_t writev(int f, const struct iovec *v, int n) { WRITE(writev, real(f, v, n / 2), f, v, n); }
int ftruncate(int f, off_t n) { CALL(ftruncate, f, n); }
int ftruncate64(int f, off64_t n) { CALL(ftruncate64, f, n); }
int fsync(int f) { CALL(fsync, f); }
int fdatasync(int f) { CALL(fdatasync, f); }
int posix_fallocate(int f, off_t o, off_t n) { CALL(posix_fallocate, f, o, n); }
int mkdir(const char *p, mode_t m) { CALL(mkdir, p, m); }
int link(const char *a, const char *b) { CALL(link, a, b); }
/* These need no space on a disk: */
int rename(const char *a, const char *b) { ALWAYS(rename, a, b); }
int renameat(int i, const char *a, int k, const char *b) { ALWAYS(renameat, i, a, k, b); }
int unlink(const char *p) { ALWAYS(unlink, p); }
int unlinkat(int d, const char *p, int f) { ALWAYS(unlinkat, d, p, f); }
int rmdir(const char *p) { ALWAYS(rmdir, p); }

#define OPEN(name, dir, ...) do { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, flags); mode = va_arg(a, mode_t); va_end(a); } \
    static __typeof__(&name) real; if (!real) real = REAL(name); \
    if ((flags & (O_CREAT | O_TRUNC)) && next_call(0) == 2) return FAILED; \
    return real(__VA_ARGS__); } while (0)

int open(const char *p, int flags, ...) { OPEN(open, 0, p, flags, mode); }
int open64(const char *p, int flags, ...) { OPEN(open64, 0, p, flags, mode); }
int openat(int d, const char *p, int flags, ...) { OPEN(openat, d, d, p, flags, mode); }

#include <sys/sendfile.h>
ssize_t sendfile(int o, int i, off_t *a, size_t n) { WRITE(sendfile, real(o, i, a, n / 2), o, i, a, n); }
ssize_t sendfile64(int o, int i, off64_t *a, size_t n) { WRITE(sendfile64, real(o, i, a, n / 2), o, i, a, n); }
ssize_t copy_file_range(int i, off64_t *a, int o, off64_t *b, size_t n, unsigned f) {
  WRITE(copy_file_range, real(i, a, o, b, n / 2, f), i, a, o, b, n, f);
}
