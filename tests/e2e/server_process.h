// `shimmy serve` running beside a test, and what curl gets from it.
#pragma once

#include "base/error.h"
#include "base/process/child_process.h"
#include "http/shapes.h"
#include "program.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

namespace shimmy::e2e {

struct HttpReply {
    int status = 0;
    std::string body;

    Json json() const { return Json::parse(body, nullptr, /*allow_exceptions=*/false); }
};

class ServerProcess {
public:
    // On the CPU and a free port, with a small context; `args` come on top.
    explicit ServerProcess(const std::vector<std::string> & args, const std::string & program = program_under_test)
        : process_(command(args, program)) {
        const auto line = process_.read_line(std::chrono::seconds(60));
        started_ = Json::parse(line.value_or("null"), nullptr, /*allow_exceptions=*/false);
        EXPECT_TRUE(started_.is_object()) << process_.err();
    }

    ChildProcess & process() { return process_; }
    const Json & started() const { return started_; }
    std::string address() const { return started_.value("address", ""); }

    // `path` of this server, or a whole URL.
    HttpReply curl(const std::string & path, const std::vector<std::string> & args = {}) const {
        const std::string url = path.starts_with('/') ? "http://" + address() + path : path;
        std::vector<std::string> argv{"curl", "-s", "--noproxy", "*", "-w", "\n%{http_code}", url};
        argv.insert(argv.end(), args.begin(), args.end());
        const std::string out = run_process(argv, std::chrono::seconds(60)).out;
        const size_t status = out.rfind('\n');
        if (status == std::string::npos) return {};
        HttpReply reply{std::atoi(out.c_str() + status + 1), out.substr(0, status)};
        if (std::find(args.begin(), args.end(), "-i") == args.end()) expect_shape(url, reply);
        return reply;
    }
    HttpReply post(const std::string & path, const Json & body, const std::vector<std::string> & args = {}) const {
        std::vector<std::string> all{"-d", body.dump()};
        all.insert(all.end(), args.begin(), args.end());
        return curl(path, all);
    }
    // Tokens that its model was given, prompts and those of answers nobody waited for included: what libggml-moe counts
    // in layer 1, where each of the embedded model's tokens takes four experts.
    int n_tokens_computed() const {
        std::istringstream metrics(curl("/metrics").body);
        int n_hits = 0;
        for (std::string line; std::getline(metrics, line);) {
            if (line.starts_with("shimmy_expert_hits_total{") && line.find("layer=\"1\"") != std::string::npos)
                n_hits += std::atoi(line.c_str() + line.find("} ") + 2);
        }
        return n_hits / 4;
    }

private:
    // Every answer has its API's shape. One that could not be read whole has none.
    void expect_shape(const std::string & url, const HttpReply & reply) const {
        static const Shapes shapes(SHIMMY_SOURCE_DIR);
        const Json at = started_.value("ollama_address", Json());
        const std::string ollama = "http://" + (at.is_string() ? at.get<std::string>() : "none/");
        const size_t path = url.find('/', std::string_view("http://").size());
        if (reply.status == 0 || path == std::string::npos) return;
        std::string route = url.substr(path, url.find('?') - path);
        if (url.starts_with(ollama) && route.starts_with("/api/")) route.insert(0, "ollama:");
        EXPECT_EQ(shapes.fault(route, reply.status, reply.body), "") << url << " " << reply.body.substr(0, 2000);
    }

    static std::vector<std::string> command(const std::vector<std::string> & args, const std::string & program) {
        std::vector<std::string> argv{program, "serve", "--json"};
        for (const auto & [option, value] :
             {std::pair{"--device", "cpu"}, std::pair{"--ctx", "512"}, std::pair{"--bind", "127.0.0.1:0"}}) {
            if (std::find(args.begin(), args.end(), option) == args.end()) argv.insert(argv.end(), {option, value});
        }
        argv.insert(argv.end(), args.begin(), args.end());
        return argv;
    }

    ChildProcess process_;
    Json started_;
};

}  // namespace shimmy::e2e
