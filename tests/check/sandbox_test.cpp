// Escapes that untrusted code may try. Each is tried for real, by Python in the sandbox.
#include "check/sandbox/sandbox.h"

#include "base/files.h"
#include "base/process/subprocess.h"
#include "check/sandbox/read_only_view.h"
#include "temp_dir.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>

namespace shimmy::check {
namespace {

using namespace std::chrono_literals;

class Sandbox : public ::testing::Test {
protected:
    Sandbox() {
        const ProcessResult found =
            run_process({"python3", "-I", "-c", "import sys; print(sys.executable); print(sys.base_prefix)"}, 20s);
        const size_t end = found.out.find('\n');
        python_ = found.out.substr(0, end);
        limits_.readable = {python_,  found.out.substr(end + 1, found.out.size() - end - 2),
                            "/usr",   "/lib",
                            "/lib64", "/etc/ld.so.cache"};
        limits_.time = 10s;
    }

    SandboxResult run(const std::string & code) {
        return run_sandboxed({python_, "-I", "-B", "-c", code}, "", limits_);
    }

    // The code must be refused with a PermissionError (EPERM, EACCES), which it prints.
    void expect_refused(const std::string & code) {
        const SandboxResult result =
            run("import os, socket, subprocess, threading, ctypes, signal\n"
                "try:\n    " +
                code +
                "\n    print('DONE')\n"
                "except (PermissionError, RuntimeError) as error:\n    print('refused')\n");
        EXPECT_EQ(result.out, "refused\n") << code << "\n" << result.err;
        EXPECT_FALSE(result.timed_out);
    }

    std::string python_;
    SandboxLimits limits_;
    TempDir dir_;
};

TEST_F(Sandbox, ComputesAndReadsItsInput) {
    const SandboxResult result = run_sandboxed(
        {python_, "-I", "-c", "import sys, math; print(math.factorial(int(sys.stdin.read())))"}, "20", limits_);
    EXPECT_EQ(result.out, "2432902008176640000\n") << result.err;
    EXPECT_EQ(result.exit_code, 0);
}

TEST_F(Sandbox, AForkBombIsRefusedAtTheFirstFork) {
    expect_refused("os.fork()");
    expect_refused("os.forkpty()");
    expect_refused("subprocess.run(['/bin/true'])");
    expect_refused("os.posix_spawn('/bin/true', ['/bin/true'], {})");
    expect_refused("threading.Thread(target=print).start()");
}

TEST_F(Sandbox, NoFileIsWrittenMadeOrRemoved) {
    const fs::path victim = dir_ / "victim";
    write_file_atomic(victim, "whole");
    fs::permissions(dir_.path(), fs::perms::all);
    fs::permissions(victim, fs::perms::all);
    limits_.readable.push_back(dir_.path());  // even where it may read
    const std::string name = "'" + victim.string() + "'";
    const std::string other = "'" + (dir_ / "new").string() + "'";
    for (const std::string mode : {"w", "a", "r+", "x"})
        expect_refused("open(" + (mode == "x" ? other : name) + ", '" + mode + "')");
    for (const std::string & code :
         {"os.open(" + other + ", os.O_CREAT | os.O_RDONLY)", "os.open(" + name + ", os.O_RDONLY | os.O_TRUNC)",
          "os.open('" + dir_.path().string() + "', os.O_TMPFILE | os.O_RDWR)", "os.unlink(" + name + ")",
          "os.rename(" + name + ", " + other + ")", "os.link(" + name + ", " + other + ")",
          "os.symlink('/', " + other + ")", "os.mkdir(" + other + ")", "os.truncate(" + name + ", 0)",
          "os.chmod(" + name + ", 0)", "os.utime(" + name + ")", "os.mkfifo(" + other + ")",
          std::string("os.memfd_create('x')")})
        expect_refused(code);
    EXPECT_EQ(read_file(victim), "whole");
    EXPECT_FALSE(fs::exists(dir_ / "new"));
}

TEST_F(Sandbox, AProgramItTurnsIntoIsConfinedToo) {
    const std::string other = (dir_ / "new").string();
    const SandboxResult result = run("import os\nos.execv('/bin/sh', ['sh', '-c', 'echo x > " + other + "; echo $?'])");
    EXPECT_EQ(result.out.find("0\n"), std::string::npos) << result.out;
    EXPECT_FALSE(fs::exists(other));
}

TEST_F(Sandbox, NoNetwork) {
    // A listener that would take the connection.
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr *>(&address), size), 0);
    ASSERT_EQ(::listen(listener, 1), 0);
    ::getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size);
    const std::string port = std::to_string(ntohs(address.sin_port));
    expect_refused("socket.create_connection(('127.0.0.1', " + port + "), 2)");
    ::close(listener);
    for (const std::string family : {"AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"})
        expect_refused("socket.socket(socket." + family + ", socket.SOCK_DGRAM)");
    expect_refused("socket.socketpair()");
}

TEST_F(Sandbox, NoOtherProcessIsReached) {
    expect_refused("os.kill(" + std::to_string(::getpid()) + ", 0)");
    expect_refused("os.kill(os.getppid(), signal.SIGKILL)");
    expect_refused("open('/proc/" + std::to_string(::getpid()) + "/mem', 'r+b')");
    // System calls that Python has no function for: ptrace, process_vm_readv, mount, bpf, io_uring_setup.
    const SandboxResult result = run(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "import os\nnumbers = {'x86_64': [101, 310, 165, 321, 425]}.get(os.uname().machine, [117, 270, 40, 280, 425])\n"
        "for number in numbers:\n    print(libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno())\n");
    EXPECT_EQ(result.out, "-1 1\n-1 1\n-1 1\n-1 1\n-1 1\n") << result.err;
}

TEST_F(Sandbox, AnEndlessLoopIsEnded) {
    limits_.time = 1s;
    for (const std::string code : {"while True: pass", "import time\ntime.sleep(1000)",
                                   "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
                                   "import os\nos.close(1)\nos.close(2)\nwhile True: pass"}) {
        const SandboxResult result = run(code);
        EXPECT_TRUE(result.timed_out) << code;
        EXPECT_EQ(result.exit_code, 128 + SIGKILL) << code;
    }
}

TEST_F(Sandbox, MemoryIsLimited) {
    limits_.memory_bytes = uint64_t{256} << 20;
    const SandboxResult result = run("try:\n    x = bytearray(1 << 30)\nexcept MemoryError:\n    print('refused')");
    EXPECT_EQ(result.out, "refused\n") << result.err;
}

TEST_F(Sandbox, OutputIsLimited) {
    limits_.output_bytes = 1 << 16;
    const SandboxResult result = run("while True: print('x' * 1000)");
    EXPECT_TRUE(result.too_much_output);
    EXPECT_LT(result.out.size(), size_t{1} << 18);
}

TEST_F(Sandbox, OtherFilesAreNotRead) {
    if (!ReadOnlyView::is_supported()) GTEST_SKIP() << "this kernel has no Landlock: reading is not limited";
    write_file_atomic(dir_ / "secret", "secret");
    expect_refused("open('" + (dir_ / "secret").string() + "')");
    expect_refused("os.listdir('/root')");
    expect_refused("open('/etc/passwd')");
}

// Python's own files are found, and all else looks alike whether it is there or not.
TEST_F(Sandbox, WhetherAPathExistsIsNotTold) {
    if (!ReadOnlyView::is_supported()) GTEST_SKIP() << "this kernel has no Landlock: reading is not limited";
    write_file_atomic(dir_ / "there", "secret");
    fs::create_symlink("/usr/bin/env", dir_ / "link");
    fs::create_symlink(dir_ / "there", dir_ / "out");
    limits_.readable.push_back(dir_ / "open");
    fs::create_directory(dir_ / "open");
    write_file_atomic(dir_ / "open" / "mine", "mine");
    fs::create_symlink(dir_ / "there", dir_ / "open" / "out");
    const std::string folder = dir_.path().string();
    const auto said = [&](const std::string & call) {
        const SandboxResult result = run("import os\ndir = '" + folder + "'\ntry:\n    " + call +
                                         "\n    print('DONE')\nexcept OSError as error:\n    print(error.errno)\n");
        return result.out + result.err;
    };
    for (const std::string name : {"/there", "/gone", "/link", "/open/../there", "/open/../gone", "/open/out"}) {
        for (const std::string call : {"os.stat(P)", "os.listdir(P)", "open(P)", "os.execv(P, ['x'])",
                                       "os.stat('..' + P, dir_fd=os.open('/usr', 0))", "os.chdir(P)"}) {
            std::string code = call;
            for (size_t at = code.find('P'); at != std::string::npos; at = code.find('P', at + 1))
                code.replace(at, 1, "(dir + '" + name + "')");
            EXPECT_EQ(said(code), "1\n") << code;  // EPERM
        }
        if (name != "/open/out") {
            EXPECT_EQ(said("os.lstat(dir + '" + name + "')"), "1\n") << name;
            EXPECT_EQ(said("os.readlink(dir + '" + name + "')"), "1\n") << name;
        }
    }
    for (const std::string call :
         {"assert not os.access(dir + '/there', 0)", "assert not os.access(dir + '/gone', 0)",
          "assert open(dir + '/open/mine').read() == 'mine'",
          "assert os.stat('mine', dir_fd=os.open(dir + '/open', 0)).st_size == 4", "os.lstat(dir + '/open/out')",
          "os.readlink(dir + '/open/out')", "assert not os.path.exists('/usr/no such file')"})
        EXPECT_EQ(said(call), "DONE\n") << call;
    EXPECT_EQ(said("os.stat(dir + '/open/gone')"), "2\n");  // ENOENT: where it may read, it may know
    // A path that cannot be read now may be there a moment later, when the kernel looks.
    EXPECT_EQ(said("import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.open(ctypes.c_void_p(1), 0); "
                   "raise OSError(ctypes.get_errno(), '')"),
              "1\n");
}

// Pages that are poisoned are lost to the whole machine (MADV_HWPOISON, MADV_SOFT_OFFLINE): only root can, and not
// here.
TEST_F(Sandbox, NoAdviceAboutMemoryButAllocators) {
    const SandboxResult result =
        run("import ctypes, mmap\nlibc = ctypes.CDLL(None, use_errno=True)\n"
            "page = mmap.mmap(-1, 4096)\naddress = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
            "for advice in (4, 14, 100, 101, 21, 20, 12):\n"
            "    print(advice, libc.madvise(ctypes.c_void_p(address), 4096, advice), ctypes.get_errno())\n");
    EXPECT_EQ(result.out, "4 0 0\n14 0 0\n100 -1 1\n101 -1 1\n21 -1 1\n20 -1 1\n12 -1 1\n") << result.err;
}

TEST_F(Sandbox, NothingOfThisProcessLeaksIn) {
    ::setenv("SHIMMY_TEST_SECRET", "secret", 1);
    const int open_fd = ::open("/etc/passwd", O_RDONLY);  // without O_CLOEXEC
    const SandboxResult result =
        run("import os\nprint(dict(os.environ))\n"
            "for fd in range(3, 64):\n    try:\n        os.fstat(fd)\n        print('open', fd)\n"
            "    except OSError:\n        pass\n");
    ::close(open_fd);
    ::unsetenv("SHIMMY_TEST_SECRET");
    EXPECT_EQ(result.out.find("secret"), std::string::npos);
    EXPECT_EQ(result.out.find("open"), std::string::npos) << result.out;
}

TEST_F(Sandbox, AProgramThatIsNotThereIsAnError) {
    EXPECT_THROW(run_sandboxed({"/no/such/program"}, "", limits_), std::exception);
}

}  // namespace
}  // namespace shimmy::check
