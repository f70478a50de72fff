// without_io_uring.cpp - runs a program for which the kernel refuses io_uring.
//
//   without_io_uring PROGRAM [ARGUMENT...]
//
// Installs a seccomp filter under which io_uring_setup(2) fails with EPERM, as container
// runtimes do, and becomes PROGRAM. Exit code 126: no filter; 127: no PROGRAM.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: without_io_uring PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  // The numbers are this build's; a filter for other architectures has nobody to stop
  // here.
  sock_filter program[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, __NR_io_uring_setup},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  sock_fprog filter{.len = sizeof program / sizeof *program, .filter = program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
    std::perror("without_io_uring: no seccomp filter");
    return 126;
  }
  ::execv(argv[1], argv + 1);
  std::perror(argv[1]);
  return 127;
}
