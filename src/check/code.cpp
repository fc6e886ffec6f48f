#include "check/code.h"

#include "base/error.h"
#include "base/process/subprocess.h"
#include "base/text/text.h"
#include "check/sandbox/read_only_view.h"
#include "check/words.h"

#include <sys/prctl.h>
#include <algorithm>
#include <cmath>
#include <random>

namespace shimmy::check {

namespace {

constexpr std::chrono::seconds FIND_TIMEOUT{20};
constexpr size_t MAX_REASON_CHARS = 200;

// Calls the function for every list of arguments and prints what it returns, one JSON line each behind a mark that the
// code does not know, so that what the code prints is not taken for a result. What is expected stays outside.
constexpr const char * DRIVER = R"py(
import json, sys, types
job = json.loads(sys.stdin.read())
def speaker(mark, out):
    def say(**fields):
        out.write(mark + json.dumps(fields) + "\n")
        out.flush()
    return say
say = speaker(job.pop("mark"), sys.stdout)
sys.stdout = sys.stderr
space = {"__name__": "answer"}
try:
    exec(compile(job["code"], "answer", "exec"), space)
    functions = [v for v in space.values() if isinstance(v, types.FunctionType)]
    call = space.get(job["function"]) if job["function"] else (functions[-1] if functions else None)
    if not callable(call):
        say(error="defines no function " + job["function"])
    else:
        for arguments in job["arguments"]:
            say(returned=call(*arguments))
except BaseException as error:
    say(error=type(error).__name__ + ": " + str(error))
)py";

bool starts_code(const std::string & line) {
    return line.starts_with("def ") || line.starts_with("import ") || line.starts_with("from ");
}

std::string fenced_blocks(const std::string & answer) {
    std::string code;
    size_t at = 0;
    while ((at = answer.find("```", at)) != std::string::npos) {
        const size_t begin = answer.find('\n', at);
        if (begin == std::string::npos) break;
        const size_t end = std::min(answer.find("```", begin), answer.size());
        const std::string block = answer.substr(begin + 1, end - begin - 1);
        if (block.find("def ") != std::string::npos) code += block;
        at = std::min(end + 3, answer.size());
    }
    return code;
}

std::string unfenced(const std::string & answer) {
    std::string code;
    size_t at = 0;
    while (at < answer.size()) {
        const size_t end = std::min(answer.find('\n', at), answer.size());
        const std::string line = answer.substr(at, end - at);
        at = end + 1;
        const bool indented = !line.empty() && (line.front() == ' ' || line.front() == '\t');
        if (starts_code(line) || (!code.empty() && (indented || line.empty()))) {
            code += line + "\n";
        } else if (!code.empty()) {
            break;
        }
    }
    return code.find("def ") == std::string::npos ? "" : code;
}

std::string random_mark() {
    std::random_device random;
    return fmt::format("{:08x}{:08x} ", random(), random());
}

// Of code that a model wrote: what reaches people must not reach their terminal's controls.
std::string shortened(const std::string & text) {
    return printable(text, MAX_REASON_CHARS);
}

// 2 and 2.0 are the same number.
bool same(const Json & a, const Json & b) {
    if (a.is_number() && b.is_number()) {
        const double x = a.get<double>();
        const double y = b.get<double>();
        return x == y || std::abs(x - y) <= 1e-9 * std::max(std::abs(x), std::abs(y));
    }
    if (!a.is_array() || !b.is_array()) return a == b;
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

std::vector<Json> marked_lines(const std::string & out, const std::string & mark) {
    std::vector<Json> result;
    for (const std::string & line : lines(out)) {
        if (line.starts_with(mark)) result.push_back(parse_json(line.substr(mark.size())));
    }
    return result;
}

std::string limit_reason(const SandboxResult & run, const Task & task) {
    if (run.timed_out) return fmt::format("did not end within {} ms", task.time.count());
    if (run.too_much_output) return "prints without end";
    return fmt::format("ended with exit code {} before every case was run", run.exit_code);
}

}  // namespace

std::string extract_python(const std::string & answer) {
    const std::string code = fenced_blocks(answer);
    return code.empty() ? unfenced(answer) : code;
}

std::vector<std::string> judge(const SandboxResult & run, const std::string & mark, const Task & task) {
    const std::vector<Json> said = marked_lines(run.out, mark);
    for (size_t i = 0; i < task.cases.size(); ++i) {
        if (i >= said.size()) return {limit_reason(run, task)};
        if (!said[i].is_object()) return {"returns what is no JSON value"};
        // Code can find the mark, and say anything behind it.
        if (said[i].contains("error")) {
            const Json & error = said[i].at("error");
            return {shortened(error.is_string() ? error.get<std::string>() : json_text(error, -1))};
        }
        if (!said[i].contains("returned")) return {"returns what is no JSON value"};
        const Json & returned = said[i].at("returned");
        if (!same(returned, task.cases[i].returns)) {
            return {
                shortened(fmt::format("returns {} for {}, not {}", json_text(returned, -1),
                                      json_text(task.cases[i].arguments, -1), json_text(task.cases[i].returns, -1)))};
        }
    }
    return {};
}

PythonRunner::PythonRunner(bool may_read_files) : hides_paths_(!may_read_files) {
    if (!may_read_files && !ReadOnlyView::is_supported())
        fail(
            "this kernel has no Landlock, so code that a model writes could read files of yours, such as access "
            "tokens: it is not run (--unsafe-no-sandbox runs it all the same; other tasks need no code)");
    // Not for the child's eyes: where it can read /proc, it would find this process' environment there.
    if (may_read_files) ::prctl(PR_SET_DUMPABLE, 0);
    // Not the name on PATH: that may be a script which starts the real one.
    const char * script = "import json, sys; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix]))";
    ProcessResult found;
    try {
        found = run_process({"python3", "-I", "-c", script}, FIND_TIMEOUT);
    } catch (const Interrupted &) {
        throw;
    } catch (const Error &) {
        found.exit_code = 127;
    }
    const Json paths = parse_json(found.out);
    if (!found.ok() || !paths.is_array())
        fail("python3 is not installed: code checks need it (apt-get install python3)");
    interpreter_ = paths.at(0);
    for (const Json & path : paths)
        readable_.emplace_back(path.get<std::string>());
    for (const char * path : {"/usr", "/lib", "/lib64", "/etc/ld.so.cache"})
        readable_.emplace_back(path);
    SandboxResult run;
    try {
        run = run_sandboxed({interpreter_, "-I", "-B", "-c", "print(6 * 7)"}, "", limits());
    } catch (const Interrupted &) {
        throw;
    } catch (const Error & error) {
        run.err = error.what();
    }
    if (run.out != "42\n")
        fail("python3 does not run in the sandbox on this machine: {}{}", shortened(run.err),
             may_read_files ? "" : " (--unsafe-no-sandbox lets it learn which files there are)");
}

SandboxLimits PythonRunner::limits() const {
    SandboxLimits limits;
    limits.readable = readable_;
    limits.hides_paths = hides_paths_;
    return limits;
}

std::vector<std::string> PythonRunner::defects(const std::string & code, const Task & task) const {
    Json arguments = Json::array();
    for (const CodeCase & one : task.cases)
        arguments.push_back(one.arguments);
    const std::string mark = random_mark();
    const Json job{{"code", code}, {"function", task.function}, {"arguments", arguments}, {"mark", mark}};
    SandboxLimits of_task = limits();
    of_task.time = task.time;
    of_task.memory_bytes = task.memory_bytes;
    const SandboxResult run = run_sandboxed({interpreter_, "-I", "-B", "-c", DRIVER}, json_text(job, -1), of_task);
    return judge(run, mark, task);
}

}  // namespace shimmy::check
