// --executor slurm on a real cluster of one node: a slurmctld and a slurmd that the test starts.
#include "base/error.h"
#include "base/files.h"
#include "base/host/host.h"
#include "base/process/child_process.h"
#include "e2e/program.h"
#include "temp_dir.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <csignal>
#include <cstdlib>
#include <thread>

namespace shimmy::e2e {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr *>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr *>(&address), &size), 0);
    ::close(fd);
    return ntohs(address.sin_port);
}

bool has_slurm() {
    for (const char * program : {"slurmctld", "slurmd", "sbatch", "squeue"}) {
        if (!run_process({"sh", "-c", fmt::format("PATH=$PATH:/usr/sbin command -v {}", program)}).ok()) return false;
    }
    return true;
}

class Cluster {
public:
    explicit Cluster(const fs::path & dir) : dir_(dir) {
        const std::string node = host().name.substr(0, host().name.find('.'));
        fs::create_directories(dir / "state");
        fs::create_directories(dir / "spool");
        write_file_atomic(conf(), configuration(node));
        ::setenv("SLURM_CONF", conf().c_str(), 1);
        controller_ = std::make_unique<ChildProcess>(
            std::vector<std::string>{"/usr/sbin/slurmctld", "-D", "-f", conf().string()});
        daemon_ = std::make_unique<ChildProcess>(
            std::vector<std::string>{"/usr/sbin/slurmd", "-D", "-f", conf().string(), "-N", node});
        for (int i = 0; i < 300 && !is_idle(); ++i)
            std::this_thread::sleep_for(milliseconds(100));
        EXPECT_TRUE(is_idle()) << controller_->err() << daemon_->err();
    }
    ~Cluster() {
        daemon_->stop(seconds(10));
        controller_->stop(seconds(10));
        ::unsetenv("SLURM_CONF");
    }

    std::string queue() const { return run_process({"squeue", "--noheader", "--array", "--format=%T"}).out; }

private:
    fs::path conf() const { return dir_ / "slurm.conf"; }
    bool is_idle() const {
        return run_process({"sinfo", "--noheader", "--format=%T"}).out.find("idle") != std::string::npos;
    }
    std::string configuration(const std::string & node) const {
        std::string text =
            "ClusterName=test\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/none\nCredType=cred/none\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/linear\nMpiDefault=none\n"
            "ReturnToService=2\nSchedulerParameters=batch_sched_delay=0,sched_interval=1\n";
        text += fmt::format("SlurmctldHost={}(127.0.0.1)\nSlurmctldPort={}\nSlurmdPort={}\n", node, free_port(),
                            free_port());
        text += fmt::format(
            "StateSaveLocation={0}/state\nSlurmdSpoolDir={0}/spool\nSlurmctldPidFile={0}/ctld.pid\n"
            "SlurmdPidFile={0}/d.pid\n",
            dir_.string());
        text += fmt::format(
            "NodeName={0} NodeAddr=127.0.0.1 CPUs={1}\nPartitionName=test Nodes={0} Default=YES "
            "MaxTime=INFINITE State=UP\n",
            node, host().n_cores);
        return text;
    }

    fs::path dir_;
    std::unique_ptr<ChildProcess> controller_;
    std::unique_ptr<ChildProcess> daemon_;
};

#define SKIP_WITHOUT_SLURM()                                     \
    SKIP_WITHOUT_GPU();                                          \
    if (::geteuid() != 0) GTEST_SKIP() << "slurmd must be root"; \
    if (!has_slurm()) GTEST_SKIP() << "Slurm is not installed: scripts/setup.sh slow-tests does it"

fs::path write_campaign(const fs::path & dir) {
    const fs::path campaign = dir / "cluster.toml";
    write_file_atomic(campaign, fmt::format(R"(
name = "cluster"
out_dir = "out"
quantizations = ["input"]
max_tokens = 4
n_ctx = 128
[[prompts]]
id = "hello"
text = "Hello"
[[prompts]]
id = "stars"
text = "The stars"
[[models]]
path = "{}"
)",
                                            tiny_moe().string()));
    return campaign;
}

std::vector<std::string> lab_run(const fs::path & campaign) {
    return {SHIMMY_PROGRAM, "lab", "run", campaign.string(), "--executor", "slurm", "--json"};
}

TEST(SlowSlurm, OneJobArrayLeavesTheSameResultFiles) {
    SKIP_WITHOUT_SLURM();
    const TempDir dir;
    const Cluster cluster(dir.path());
    const fs::path campaign = write_campaign(dir.path());
    const ProcessResult result = run_process(lab_run(campaign), std::chrono::minutes(5));
    EXPECT_EQ(result.exit_code, 0) << result.err << result.out.substr(0, 1000);
    const Json summary = Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
    EXPECT_EQ(summary["n_valid_runs"], 4);
    EXPECT_EQ(summary["rows"].size(), 1U);
    EXPECT_TRUE(fs::exists(dir.path() / "out/slurm/task.sh"));
    // A local run finds nothing left to do.
    const Json dry = shimmy_json({"lab", "run", campaign.string(), "--dry-run"});
    EXPECT_EQ(dry["n_runs_to_do"], 0);
}

TEST(SlowSlurm, AKilledSubmitterWaitsForItsJobInsteadOfSubmittingAnother) {
    SKIP_WITHOUT_SLURM();
    const TempDir dir;
    const Cluster cluster(dir.path());
    const fs::path campaign = write_campaign(dir.path());
    {
        ChildProcess lab(lab_run(campaign));
        for (int i = 0; i < 300 && cluster.queue().empty(); ++i)
            std::this_thread::sleep_for(milliseconds(100));
        EXPECT_FALSE(cluster.queue().empty());
        lab.stop(milliseconds(0));
    }
    const std::string job = read_file(dir.path() / "out/slurm/job");
    const ProcessResult result = run_process(lab_run(campaign), std::chrono::minutes(5));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(Json::parse(result.out, nullptr, /*allow_exceptions=*/false)["n_valid_runs"], 4);
    // Job ids count up: a second submission would have left logs under another one.
    for (const fs::directory_entry & entry : fs::directory_iterator(dir.path() / "out/slurm")) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(".log")) continue;
        EXPECT_EQ(name.substr(0, name.find('_')), job.substr(0, job.find('\n'))) << name;
    }
}

TEST(SlowSlurm, WithoutAControllerTheReasonIsSlurms) {
    SKIP_WITHOUT_SLURM();
    const TempDir dir;
    write_file_atomic(dir.path() / "slurm.conf", "ClusterName=none\nSlurmctldHost=localhost\n");
    ::setenv("SLURM_CONF", (dir.path() / "slurm.conf").c_str(), 1);
    const fs::path campaign = write_campaign(dir.path());
    const ProcessResult result = run_process(lab_run(campaign), std::chrono::minutes(3));
    ::unsetenv("SLURM_CONF");
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("Slurm did not take the job"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace shimmy::e2e
