#include "lab/run/slurm.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "base/process/progress.h"
#include "base/process/spawn.h"
#include "base/text/text.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <thread>

namespace shimmy::lab {

namespace {

constexpr std::chrono::seconds COMMAND_TIMEOUT{60};
constexpr int MAX_FAILED_POLLS = 12;  // a controller that restarts is no reason to give up
constexpr int EXTRA_MINUTES = 2;      // of a task beyond its run's own timeout

fs::path slurm_dir(const CampaignPlan & plan) {
    return plan.campaign.out_dir / "slurm";
}

fs::path job_file(const CampaignPlan & plan) {
    return slurm_dir(plan) / "job";
}

std::string without_line_end(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
        text.pop_back();
    return text;
}

bool is_job_id(const std::string & id) {
    return !id.empty() && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Not through run_process, which would see the same Ctrl-C.
void cancel(const std::string & id) {
    try {
        wait_exit_code(spawn({"scancel", id}, STDERR_FILENO, STDERR_FILENO));
    } catch (const Error &) {
        // Slurm's programs were there a moment ago. The interrupt is what matters now.
    }
}

// A task is what `lab run` does for one run.
fs::path write_script(const CampaignPlan & plan, const std::string & program) {
    const fs::path script = slurm_dir(plan) / "task.sh";
    write_file_atomic(script,
                      fmt::format("#!/bin/sh\nexec {} lab cell {} \"$SLURM_ARRAY_TASK_ID\"\n", shell_quoted(program),
                                  shell_quoted(fs::absolute(plan.campaign.out_dir).string())));
    return script;
}

std::string submit(const CampaignPlan & plan, const std::vector<size_t> & runs, const std::string & program,
                   const SlurmOptions & slurm) {
    make_folders(slurm_dir(plan));
    int timeout_s = plan.campaign.timeout_s;
    for (const CampaignTask & task : plan.campaign.tasks)
        timeout_s = std::max(timeout_s, task.timeout_s);
    const int minutes = timeout_s / 60 + 1 + EXTRA_MINUTES;
    // A node to itself, or one run would measure the other.
    std::vector<std::string> argv{"sbatch",
                                  "--parsable",
                                  "--exclusive",
                                  "--job-name=shimmy-" + plan.campaign.name,
                                  fmt::format("--time={}", minutes),
                                  "--array=" + array_ranges(runs),
                                  "--output=" + (slurm_dir(plan) / "%A_%a.log").string()};
    argv.insert(argv.end(), slurm.sbatch_args.begin(), slurm.sbatch_args.end());
    argv.push_back(write_script(plan, program).string());
    const ProcessResult result = run_process(argv, COMMAND_TIMEOUT);
    if (!result.ok()) fail("Slurm did not take the job: {}", without_line_end(result.err));
    const std::string id = without_line_end(result.out.substr(0, result.out.find(';')));  // "<id>;<cluster>"
    if (!is_job_id(id)) fail("Slurm's sbatch answered '{}', which is no job id", id);
    write_file_atomic(job_file(plan), id + "\n");
    return id;
}

struct Tasks {
    bool known = true;  // false: Slurm did not answer
    size_t n_pending = 0;
    size_t n_other = 0;  // running, ending

    bool over() const { return known && n_pending + n_other == 0; }
};

// --array: an entry per task. A job that is over is soon forgotten.
Tasks tasks_of(const std::string & id) {
    const ProcessResult result =
        run_process({"squeue", "--noheader", "--array", "--format=%T", "--jobs=" + id}, COMMAND_TIMEOUT);
    Tasks tasks;
    if (!result.ok()) {
        tasks.known = result.err.find("Invalid job id") != std::string::npos;
        return tasks;
    }
    for (size_t start = 0; start < result.out.size();) {
        const size_t end = std::min(result.out.find('\n', start), result.out.size());
        const std::string state = result.out.substr(start, end - start);
        if (!state.empty()) ++(state == "PENDING" ? tasks.n_pending : tasks.n_other);
        start = end + 1;
    }
    return tasks;
}

class Waiting {
public:
    Waiting(const CampaignPlan & plan, const CampaignOptions & options, const SlurmOptions & slurm,
            RunStateFile & state)
        : slurm_(slurm), state_(state), progress_(plan.campaign.name, options.quiet) {}

    // `n_total`: tasks of the job, which Ctrl-C cancels.
    void wait(const std::string & id, size_t n_total) {
        try {
            wait_for(id, n_total);
        } catch (const Interrupted &) {
            cancel(id);
            throw;
        }
    }

private:
    void wait_for(const std::string & id, size_t n_total) {
        int n_failed_polls = 0;
        for (Tasks tasks; !(tasks = tasks_of(id)).over();) {
            if (!tasks.known && ++n_failed_polls >= MAX_FAILED_POLLS)
                fail("Slurm's squeue does not answer: job {} may still run; the same command waits for it", id);
            if (tasks.known) n_failed_polls = 0;
            const size_t n_left = std::min(tasks.n_pending + tasks.n_other, n_total);
            if (tasks.known) {
                state_.update("slurm", fmt::format("job {}: {} tasks wait, {} run", id, tasks.n_pending, tasks.n_other),
                              n_total - n_left, n_total);
                progress_.update(n_total - n_left, n_total);
            }
            sleep();
        }
        progress_.update(n_total, n_total);
    }

    void sleep() const {
        const auto end = std::chrono::steady_clock::now() + slurm_.poll;
        while (std::chrono::steady_clock::now() < end) {
            check_interrupted();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
    }

    const SlurmOptions & slurm_;
    RunStateFile & state_;
    Progress progress_;
};

// The job that an earlier process submitted, if Slurm still has tasks of it.
std::string left_job(const CampaignPlan & plan) {
    if (!fs::exists(job_file(plan))) return "";
    const std::string id = without_line_end(read_file(job_file(plan)));
    return !is_job_id(id) || tasks_of(id).over() ? "" : id;
}

}  // namespace

std::string array_ranges(const std::vector<size_t> & runs) {
    std::string text;
    for (size_t i = 0; i < runs.size();) {
        size_t end = i;
        while (end + 1 < runs.size() && runs[end + 1] == runs[end] + 1)
            ++end;
        text += fmt::format("{}{}", text.empty() ? "" : ",", runs[i]);
        if (end > i) text += fmt::format("-{}", runs[end]);
        i = end + 1;
    }
    return text;
}

Executor slurm_executor(const CampaignOptions & options, const SlurmOptions & slurm) {
    return [options, slurm](const CampaignPlan & plan, const std::vector<size_t> & runs, RunStateFile & state) {
        Waiting waiting(plan, options, slurm, state);
        std::vector<size_t> missing = runs;
        if (const std::string id = left_job(plan); !id.empty()) {
            waiting.wait(id, runs.size());
            CampaignPlan now = plan;
            look_up_results(now);
            missing = runs_to_make(now, options);
        }
        if (!missing.empty()) waiting.wait(submit(plan, missing, options.program, slurm), missing.size());
        fs::remove(job_file(plan));
    };
}

}  // namespace shimmy::lab
