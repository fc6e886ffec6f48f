#include "tune/visit.h"

#include "base/error.h"
#include "base/text/text.h"

#include <algorithm>

namespace shimmy::tune {

namespace {

double fastest(const Json & times_ms) {
    const auto list = times_ms.get<std::vector<double>>();
    return *std::min_element(list.begin(), list.end());
}

// What the program said went wrong, without its name.
std::string reason_of(const Json & document, const ProcessResult & result) {
    if (result.timed_out) return "takes several times as long as the defaults";
    if (!document.is_discarded() && document.contains("error")) return document["error"].value("message", "");
    std::string line = result.err.substr(0, result.err.find('\n'));
    return line.empty() ? fmt::format("ended with exit code {}", result.exit_code) : printable(line, 300);
}

// The user's options, those of the point, and llama.cpp's.
void add_options(const VisitOptions & visit, const std::vector<std::string> & options,
                 std::vector<std::string> & argv) {
    argv.insert(argv.end(), visit.given.begin(), visit.given.end());
    argv.insert(argv.end(), options.begin(), options.end());
    if (!visit.llama_args.empty()) argv.emplace_back("--");
    argv.insert(argv.end(), visit.llama_args.begin(), visit.llama_args.end());
}

}  // namespace

std::vector<std::string> visit_command(const VisitOptions & visit, const std::vector<std::string> & options) {
    std::vector<std::string> argv{visit.program,
                                  "bench",
                                  "--model",
                                  visit.model,
                                  "--n-prompt",
                                  "0",
                                  "--n-gen",
                                  "0",
                                  "--prompt-and-gen",
                                  fmt::format("{},{}", visit.lengths.n_prompt, visit.lengths.n_gen),
                                  "--repetitions",
                                  std::to_string(visit.n_repeats),
                                  "--parallel",
                                  std::to_string(visit.goal.n_clients),
                                  "--ctx",
                                  std::to_string(visit.n_ctx),
                                  "--json"};
    add_options(visit, options, argv);
    return argv;
}

std::vector<std::string> answer_command(const VisitOptions & visit, const std::vector<std::string> & options,
                                        const std::string & prompt, int n_tokens) {
    std::vector<std::string> argv{visit.program,
                                  "generate",
                                  "--no-profile",
                                  "--model",
                                  visit.model,
                                  "--raw",
                                  "--prompt=" + prompt,
                                  "--temperature",
                                  "0",
                                  "--max-tokens",
                                  std::to_string(n_tokens),
                                  "--ctx",
                                  std::to_string(visit.n_ctx),
                                  "--json"};
    add_options(visit, options, argv);
    return argv;
}

Figure read_answer(const VisitOptions & visit, const ProcessResult & result) {
    const Json document = parse_json(result.out);
    if (!result.ok() || document.is_discarded() || !document.contains("decode_ms"))
        return {CANNOT_RUN, reason_of(document, result)};
    const Lengths lengths{document.at("n_prompt_tokens").get<int>(), document.at("n_output_tokens").get<int>() - 1};
    if (lengths.n_prompt < 1 || lengths.n_gen < 1) return {CANNOT_RUN, "the model ends its answer at once"};
    return {request_ms(visit.goal, lengths, document.at("prefill_ms"), document.at("decode_ms")), ""};
}

Figure run_answer(const VisitOptions & visit, const std::vector<std::string> & options, const std::string & prompt,
                  int n_tokens) {
    return read_answer(visit, run_process(answer_command(visit, options, prompt, n_tokens), visit.timeout));
}

// The faster repetition: what disturbs a measurement only ever adds to it.
Visit read_visit(const VisitOptions & visit, const ProcessResult & result) {
    Visit done;
    done.document = parse_json(result.out);
    if (!result.ok() || done.document.is_discarded() || !done.document.contains("tests")) {
        done.figure.error = reason_of(done.document, result);
        return done;
    }
    const Json & test = done.document["tests"].at(0);
    done.prompt_ms = fastest(test.at("prompt_ms"));
    done.gen_ms = fastest(test.at("gen_ms"));
    done.figure.cost_ms = request_ms(visit.goal, visit.lengths, done.prompt_ms, done.gen_ms);
    return done;
}

Visit run_visit(const VisitOptions & visit, const std::vector<std::string> & options) {
    return read_visit(visit, run_process(visit_command(visit, options), visit.timeout));
}

}  // namespace shimmy::tune
