/* A layer between a process and the file system of its data folder, loaded with LD_PRELOAD.
 *
 * It writes every change of the folder to a trace, from which a test builds what a power cut could
 * leave, and fails chosen calls. Environment:
 *
 *   HAOYUAN_SHIM_ROOT   absolute path; only what lies under it is looked at
 *   HAOYUAN_SHIM_TRACE  file to append the trace to; none: nothing is traced
 *   HAOYUAN_SHIM_FAIL   class:errno:path part:nth:mode
 *                       class  write | sync | open (which creates) | rename
 *                       errno  ENOSPC | EIO
 *                       nth    counted from 1 over the calls of the class whose path has the part
 *                       mode   once | sticky (that call and all later ones) | short (half of the
 *                              bytes are written, then sticky)
 *   HAOYUAN_SHIM_ARM    file; calls are counted and failed only while it exists
 *
 * A trace is a row of entries, little-endian as the machine:
 *
 *   kind u8, flag u8, path length u16, fd i32, offset u64, data length u32, path, data
 *
 *   O open (flag 1: created, 2: truncated)   C close      W write   T truncate (offset: length)
 *   B sync begins (offset: token)            E sync done  R rename (path: old NUL new)
 *   U unlink   M mkdir   D rmdir             A mark of the driver (data: what it likes)
 *
 * A sync covers what stands before its B; it counts from its E on. Both are in the trace before
 * the call returns, so whatever the process says later, to whomever, comes after.
 *
 * The calls are those that Rust's standard library and sled make through libc. rustix makes raw
 * system calls that no preload sees; in the product it only locks a file, which changes nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[4096];
static size_t root_len;
static int trace_fd = -1;
static char *paths[FDS]; /* of open files under the root */
static uint64_t token;

static char fail_class[16], fail_part[256], fail_mode[16], arm[4096];
static int fail_errno;
static long fail_nth, fail_seen;
static int fail_on;

__attribute__((constructor)) static void begin(void) {
  const char *r = getenv("HAOYUAN_SHIM_ROOT"), *t = getenv("HAOYUAN_SHIM_TRACE");
  const char *f = getenv("HAOYUAN_SHIM_FAIL"), *a = getenv("HAOYUAN_SHIM_ARM");
  if (!r) return;
  snprintf(root, sizeof root, "%s", r);
  root_len = strlen(root);
  if (t) trace_fd = syscall(SYS_openat, AT_FDCWD, t, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (a) snprintf(arm, sizeof arm, "%s", a);
  if (f) {
    char name[16];
    /* An empty part is written as a star. */
    if (sscanf(f, "%15[^:]:%15[^:]:%255[^:]:%ld:%15s", fail_class, name, fail_part, &fail_nth, fail_mode) == 5) {
      fail_errno = strcmp(name, "ENOSPC") == 0 ? ENOSPC : EIO;
      if (strcmp(fail_part, "*") == 0) fail_part[0] = 0;
      fail_on = 1;
    } else {
      static const char text[] = "shim: HAOYUAN_SHIM_FAIL is not understood\n";
      syscall(SYS_write, 2, text, sizeof text - 1);
      _exit(97);
    }
  }
}

static int inside(const char *path) {
  return root_len && strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == 0);
}

static const char *of_fd(int fd) { return fd >= 0 && fd < FDS ? paths[fd] : NULL; }

/* Every entry is one appending write, so that entries of two processes do not mix. */
static void put(char kind, int flag, int fd, uint64_t offset, const char *path, size_t path_len,
                const void *data, size_t len) {
  if (trace_fd < 0) return;
  unsigned char head[20];
  uint16_t p = (uint16_t)path_len;
  uint32_t l = (uint32_t)len;
  int32_t d = fd;
  head[0] = (unsigned char)kind;
  head[1] = (unsigned char)flag;
  memcpy(head + 2, &p, 2);
  memcpy(head + 4, &d, 4);
  memcpy(head + 8, &offset, 8);
  memcpy(head + 16, &l, 4);
  struct iovec parts[3] = {{head, 20}, {(void *)path, path_len}, {(void *)data, len}};
  int saved = errno;
  long done = syscall(SYS_writev, trace_fd, parts, 3);
  if (done != (long)(20 + path_len + len)) _exit(98);
  errno = saved;
}

/* Whether the call is to fail now. 2: after half of its bytes. */
static int fails(const char *class, const char *path) {
  if (!fail_on || strcmp(class, fail_class) != 0 || !strstr(path, fail_part)) return 0;
  if (arm[0] && syscall(SYS_faccessat, AT_FDCWD, arm, F_OK) != 0) return 0;
  long seen = __sync_add_and_fetch(&fail_seen, 1);
  int is_nth = seen == fail_nth, is_later = seen > fail_nth;
  if (is_nth) {
    static const char text[] = "shim: a call fails\n";
    syscall(SYS_write, 2, text, sizeof text - 1);
  }
  if (is_nth && strcmp(fail_mode, "short") == 0) return 2;
  return is_nth || (is_later && strcmp(fail_mode, "once") != 0);
}

static int refused(void) {
  errno = fail_errno;
  return -1;
}

static int open_any(int dir, const char *path, int flags, mode_t mode) {
  if (dir != AT_FDCWD || !inside(path)) return syscall(SYS_openat, dir, path, flags, mode);
  pthread_mutex_lock(&lock);
  struct stat info;
  int existed = stat(path, &info) == 0;
  if (!existed && (flags & O_CREAT) && fails("open", path)) {
    pthread_mutex_unlock(&lock);
    return refused();
  }
  int fd = syscall(SYS_openat, dir, path, flags, mode);
  if (fd >= 0 && fd < FDS) {
    int saved = errno;
    free(paths[fd]);
    paths[fd] = strdup(path);
    int flag = (existed ? 0 : 1) | ((flags & O_TRUNC) ? 2 : 0);
    put('O', flag, fd, 0, path, strlen(path), NULL, 0);
    errno = saved;
  }
  pthread_mutex_unlock(&lock);
  return fd;
}

#define MODE(flags)                             \
  mode_t mode = 0;                              \
  if ((flags) & (O_CREAT | O_TMPFILE)) {        \
    va_list rest;                               \
    va_start(rest, flags);                      \
    mode = va_arg(rest, mode_t);                \
    va_end(rest);                               \
  }

int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return open_any(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return open_any(dir, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd) {
  if (of_fd(fd)) {
    pthread_mutex_lock(&lock);
    if (paths[fd]) {
      put('C', 0, fd, 0, NULL, 0, NULL, 0);
      free(paths[fd]);
      paths[fd] = NULL;
    }
    pthread_mutex_unlock(&lock);
  }
  return syscall(SYS_close, fd);
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t offset, int positioned) {
  pthread_mutex_lock(&lock);
  const char *path = of_fd(fd);
  int fault = path ? fails("write", path) : 0;
  if (fault == 1) {
    pthread_mutex_unlock(&lock);
    return refused();
  }
  if (fault == 2) len /= 2;
  if (path && !positioned) {
    struct stat info;
    int append = fcntl(fd, F_GETFL) & O_APPEND;
    offset = append && fstat(fd, &info) == 0 ? info.st_size : lseek(fd, 0, SEEK_CUR);
  }
  ssize_t done = positioned ? syscall(SYS_pwrite64, fd, data, len, offset) : syscall(SYS_write, fd, data, len);
  if (path && done > 0) put('W', 0, fd, (uint64_t)offset, NULL, 0, data, (size_t)done);
  pthread_mutex_unlock(&lock);
  return done;
}

ssize_t write(int fd, const void *data, size_t len) {
  return of_fd(fd) ? write_at(fd, data, len, 0, 0) : syscall(SYS_write, fd, data, len);
}
ssize_t pwrite(int fd, const void *data, size_t len, off_t offset) {
  return of_fd(fd) ? write_at(fd, data, len, offset, 1) : syscall(SYS_pwrite64, fd, data, len, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset) { return pwrite(fd, data, len, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (!of_fd(fd)) return syscall(SYS_writev, fd, parts, count);
  ssize_t all = 0;
  for (int i = 0; i < count; i++) {
    ssize_t done = parts[i].iov_len ? write_at(fd, parts[i].iov_base, parts[i].iov_len, 0, 0) : 0;
    if (done < 0) return all ? all : done;
    all += done;
    if ((size_t)done < parts[i].iov_len) break;
  }
  return all;
}

int ftruncate(int fd, off_t length) {
  if (!of_fd(fd)) return syscall(SYS_ftruncate, fd, length);
  pthread_mutex_lock(&lock);
  int done = syscall(SYS_ftruncate, fd, length);
  if (done == 0 && of_fd(fd)) put('T', 0, fd, (uint64_t)length, NULL, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

/* The lock is not held while the disk works: other threads go on writing. */
static int synced(int fd, long call) {
  if (!of_fd(fd)) return syscall(call, fd);
  pthread_mutex_lock(&lock);
  const char *path = of_fd(fd);
  if (path && fails("sync", path)) {
    pthread_mutex_unlock(&lock);
    return refused();
  }
  uint64_t own = ++token;
  put('B', 0, fd, own, NULL, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  int done = syscall(call, fd);
  int saved = errno;
  if (done == 0) {
    pthread_mutex_lock(&lock);
    put('E', 0, fd, own, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
  }
  errno = saved;
  return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
/* Starts writing back and promises nothing: it does not stand in the trace. */
int sync_file_range(int fd, off64_t offset, off64_t len, unsigned flags) {
  const char *path = of_fd(fd);
  if (path && fails("sync", path)) return refused();
  return syscall(SYS_sync_file_range, fd, offset, len, flags);
}

int rename(const char *from, const char *to) {
  if (!inside(from) && !inside(to)) return syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  pthread_mutex_lock(&lock);
  if (fails("rename", to)) {
    pthread_mutex_unlock(&lock);
    return refused();
  }
  int done = syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
  if (done == 0) {
    char both[8200];
    int len = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
    put('R', 0, -1, 0, both, (size_t)len, NULL, 0);
  }
  pthread_mutex_unlock(&lock);
  return done;
}

static int named(char kind, const char *path, long done) {
  if (done == 0 && inside(path)) put(kind, 0, -1, 0, path, strlen(path), NULL, 0);
  return (int)done;
}
int unlink(const char *path) {
  pthread_mutex_lock(&lock);
  int done = named('U', path, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
  pthread_mutex_unlock(&lock);
  return done;
}
/* remove_dir_all comes here, with an open directory. */
int unlinkat(int dir, const char *path, int flags) {
  char whole[8200];
  if (path[0] == '/' || dir == AT_FDCWD) {
    snprintf(whole, sizeof whole, "%s", path);
  } else {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t len = syscall(SYS_readlinkat, AT_FDCWD, link, whole, sizeof whole - 4200);
    if (len < 0) len = 0;
    snprintf(whole + len, sizeof whole - (size_t)len, "/%s", path);
  }
  pthread_mutex_lock(&lock);
  int done = named(flags & AT_REMOVEDIR ? 'D' : 'U', whole, syscall(SYS_unlinkat, dir, path, flags));
  pthread_mutex_unlock(&lock);
  return done;
}
int mkdir(const char *path, mode_t mode) {
  pthread_mutex_lock(&lock);
  int done = named('M', path, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
  pthread_mutex_unlock(&lock);
  return done;
}
int rmdir(const char *path) {
  pthread_mutex_lock(&lock);
  int done = named('D', path, syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
  pthread_mutex_unlock(&lock);
  return done;
}
