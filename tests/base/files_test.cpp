#include "base/files.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/process/spawn.h"
#include "temp_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>
#include <vector>

namespace shimmy {
namespace {

std::string message_of(const std::function<void()> & action) {
    try {
        action();
    } catch (const Error & error) {
        return error.what();
    }
    return "";
}

TEST(Files, HashesMatchPublishedVectors) {
    // FIPS 180-2, appendix B.1, and the empty message
    EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Files, HashOfAFileEqualsHashOfItsBytes) {
    const TempDir dir;
    const std::string content(3'000'000, 'x');  // several read buffers
    write_file_atomic(dir / "f", content);
    uint64_t last = 0;
    EXPECT_EQ(sha256_file_hex(dir / "f",
                              [&](uint64_t done, uint64_t total) {
                                  EXPECT_EQ(total, content.size());
                                  last = done;
                              }),
              sha256_hex(content));
    EXPECT_EQ(last, content.size());
}

TEST(Files, AtomicWriteReplacesAndLeavesNothingBeside) {
    const TempDir dir;
    write_file_atomic(dir / "f", "old");
    write_file_atomic(dir / "f", "new");
    EXPECT_EQ(read_file(dir / "f"), "new");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(Files, AFullDiskLeavesTheOldFile) {
    const TempDir dir;
    write_file_atomic(dir / "f", "old");
    // A limit on file size fails writes as a full disk does.
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1024, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string message = message_of([&] { write_file_atomic(dir / "f", std::string(100'000, 'x')); });
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_NE(message.find((dir / "f").string()), std::string::npos) << message;
    EXPECT_EQ(read_file(dir / "f"), "old");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(Files, ErrorsNameThePath) {
    const TempDir dir;
    EXPECT_EQ(message_of([&] { (void)read_file(dir / "none"); }), (dir / "none").string() + ": no such file");
    EXPECT_EQ(message_of([&] { (void)read_file(dir.path()); }), dir.path().string() + ": is a folder, not a file");
    write_file_atomic(dir / "file", "");
    EXPECT_NE(message_of([&] { ensure_writable_dir(dir / "file" / "sub"); }), "");
}

// There, and yet not to be read: the memory of this process from address 0 on.
TEST(Files, AReadThatFailsIsAnError) {
    EXPECT_EQ(message_of([] { (void)read_file("/proc/self/mem"); }), "/proc/self/mem: Input/output error");
    EXPECT_EQ(message_of([] { sha256_file_hex("/proc/self/mem"); }), "/proc/self/mem: Input/output error");
    const TempDir dir;
    fs::create_directories(dir / "f");
    EXPECT_NE(message_of([&] { write_file_atomic(dir / "f", "text"); }), "");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1) << "no part file is left";
    EXPECT_NE(message_of([&] { write_file_atomic(dir / "none" / "f", "text"); }).find(": No such file or directory"),
              std::string::npos);
}

// One may not ask whether a process of another user runs: it does.
// A signal ends a read of a pipe that nobody writes to.
TEST(Files, CtrlCEndsAReadThatWouldWaitForEver) {
    const TempDir dir;
    const fs::path pipe = dir / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const int writer = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);  // without one, the end would be read at once
    struct sigaction interrupts {};
    interrupts.sa_handler = [](int) {};
    struct sigaction before {};
    ASSERT_EQ(::sigaction(SIGUSR1, &interrupts, &before), 0);
    std::atomic<bool> done{false};
    std::thread presses_ctrl_c([&done, reader = ::pthread_self()] {
        while (!done) {
            ::pthread_kill(reader, SIGUSR1);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    });
    EXPECT_THROW((void)read_file(pipe), Interrupted);
    done = true;
    presses_ctrl_c.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    ::close(writer);
}

TEST(Files, PartFilesOfOtherUsersStay) {
    const TempDir dir;
    fs::permissions(dir.path(), fs::perms::all);
    std::ofstream(dir / "a.1.part") << "init's";
    std::ofstream(dir / "b.999999999.part") << "nobody's";
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(1);
        remove_stale_part_files(dir.path());
        ::_exit(::kill(1, 0) == 0 ? 1 : 0);
    }
    EXPECT_EQ(wait_exit_code(child), 0);
    EXPECT_TRUE(fs::exists(dir / "a.1.part"));
    EXPECT_FALSE(fs::exists(dir / "b.999999999.part"));
}

TEST(Files, PartFilesOfDeadWritersAreRemoved) {
    const TempDir dir;
    std::ofstream(dir / "a.gguf.999999999.part") << "half";
    std::ofstream(dir / fmt::format("b.gguf.{}.part", ::getpid())) << "being written";
    std::ofstream(dir / "notes.part") << "somebody else's";
    remove_stale_part_files(dir.path());
    EXPECT_FALSE(fs::exists(dir / "a.gguf.999999999.part"));
    EXPECT_TRUE(fs::exists(dir / fmt::format("b.gguf.{}.part", ::getpid())));
    EXPECT_TRUE(fs::exists(dir / "notes.part"));
}

// As `git hash-object` names them.
TEST(Files, GitBlobOid) {
    EXPECT_EQ(git_blob_oid(""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    EXPECT_EQ(git_blob_oid("hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(Files, FreeDiskIsThatOfTheNearestExistingParent) {
    const TempDir dir;
    EXPECT_GT(free_disk_bytes(dir / "not" / "yet" / "there"), 0U);
}

TEST(Files, APartFileBecomesTheFileOrNothing) {
    const TempDir dir;
    fs::path part_path;
    {
        PartFile part(dir / "model.gguf");
        part_path = part.path();
        EXPECT_EQ(part_path, (dir / "model.gguf").string() + fmt::format(".{}.part", ::getpid()));
        std::ofstream(part_path) << "half";
    }
    EXPECT_FALSE(fs::exists(part_path));
    EXPECT_FALSE(fs::exists(dir / "model.gguf"));
    {
        PartFile part(dir / "model.gguf");
        std::ofstream(part.path()) << "whole";
        part.commit();
        std::ofstream(part.path()) << "of another writer";
    }
    EXPECT_EQ(read_file(dir / "model.gguf"), "whole");
    EXPECT_TRUE(fs::exists(part_path)) << "after commit() it is nobody's";
    PartFile lost(dir / "none.gguf");
    EXPECT_EQ(message_of([&] { lost.commit(); }), (dir / "none.gguf").string() + ": No such file or directory");
}

TEST(Files, ProgressOfAHashIsInBytes) {
    const TempDir dir;
    write_file_atomic(dir / "f", std::string((2 << 20) + 5, 'x'));
    std::vector<uint64_t> steps;
    sha256_file_hex(dir / "f", [&](uint64_t done, uint64_t) { steps.push_back(done); });
    EXPECT_EQ(steps, (std::vector<uint64_t>{1 << 20, 2 << 20, (2 << 20) + 5}));
    EXPECT_EQ(message_of([&] { sha256_file_hex(dir / "none"); }), (dir / "none").string() + ": no such file");
}

TEST(Files, AWritableFolderIsMadeAndLeftEmpty) {
    const TempDir dir;
    ensure_writable_dir(dir / "a" / "b");
    EXPECT_TRUE(fs::is_empty(dir / "a" / "b"));
    ensure_writable_dir(dir / "a" / "b");
    write_file_atomic(dir / "file", "");
    EXPECT_EQ(message_of([&] { ensure_writable_dir(dir / "file" / "sub"); }),
              (dir / "file").string() + ": is a file, where a folder is needed");
    EXPECT_NE(message_of([] { ensure_writable_dir("/proc/self"); }).find("/proc/self: cannot write here: "),
              std::string::npos);
}

TEST(Files, FreeDiskIsWhatStatvfsSays) {
    const TempDir dir;
    const uint64_t free_bytes = free_disk_bytes(dir / "not" / "yet");
    const uint64_t same = fs::space(dir.path()).available;  // others write to this disk meanwhile
    EXPECT_NEAR(static_cast<double>(free_bytes), static_cast<double>(same), 1e9);
    EXPECT_EQ(free_disk_bytes("/proc/none"), fs::space("/proc").available);
    EXPECT_GT(free_disk_bytes("relative"), 0U);
}

TEST(Files, OnlyPartFilesOfAProcessAreRemoved) {
    const TempDir dir;
    for (const char * name : {"a.0.part", "a..part", "a.-5.part", "a.x.part", "a.999999999.txt", "a.1.part"})
        std::ofstream(dir / name) << "x";
    remove_stale_part_files(dir.path());
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 6);
    remove_stale_part_files(dir / "none");
}

TEST(Digest, CountsAndBeginsAgain) {
    Digest hash(Digest::Kind::sha256);
    hash.update("ab");
    hash.update("");
    hash.update("c");
    EXPECT_EQ(hash.n_bytes(), 3U);
    EXPECT_EQ(hash.hex(), sha256_hex("abc"));
    hash.restart();
    EXPECT_EQ(hash.n_bytes(), 0U);
    EXPECT_EQ(hash.hex(), sha256_hex(""));
    Digest sha1(Digest::Kind::sha1);
    sha1.update("abc");
    EXPECT_EQ(sha1.hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");  // FIPS 180-2, appendix A.1
}

}  // namespace
}  // namespace shimmy
