#include "cli/chat/chat.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "base/text/units.h"
#include "cli/print/memory_text.h"
#include "engine/experts/expert_use.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>

namespace shimmy::cli {

struct Chat::Command {
    std::string name;
    std::string argument;
    std::string help;
    Handler handler;
};

const std::vector<Chat::Command> & Chat::table() {
    static const std::vector<Command> commands{
        {"/help", "", "show this", &Chat::help},
        {"/system", "[TEXT]", "set the system message, or show it; /system - takes it away", &Chat::system},
        {"/image", "[FILE]", "show a picture with the next question; /image - takes it away", &Chat::image},
        {"/regen", "", "answer the last question again, with another seed", &Chat::again},
        {"/undo", "", "take back the last question and its answer", &Chat::take_back},
        {"/clear", "", "begin a new conversation", &Chat::clear},
        {"/save", "FILE", "write the conversation as JSON", &Chat::save},
        {"/load", "FILE", "go on with a saved conversation", &Chat::load},
        {"/set", "[NAME VALUE]", "change a setting, or show all", &Chat::set},
        {"/moe", "", "show memory, placement and what the experts do", &Chat::show_experts},
        {"/exit", "", "leave (or Ctrl-D)", &Chat::leave},
    };
    return commands;
}

namespace {

// A setting as text, both ways. set: false for a value that it cannot have.
struct Setting {
    std::function<std::string(const ReplySettings &)> get;
    std::function<bool(ReplySettings &, const std::string &)> set;
};

template <typename T>
bool parse(const std::string & text, T & value, T least, T most) {
    T parsed{};
    const char * end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, parsed);
    if (result.ec != std::errc() || result.ptr != end || !(parsed >= least && parsed <= most)) return false;
    value = parsed;
    return true;
}

const std::map<std::string, Setting> & settings() {
    const auto real = [](float engine::SamplingOptions::*member, float least, float most) {
        return Setting{[member](const ReplySettings & s) { return fmt::format("{}", s.sampling.*member); },
                       [member, least, most](ReplySettings & s, const std::string & text) {
                           return parse(text, s.sampling.*member, least, most);
                       }};
    };
    static const std::map<std::string, Setting> all{
        {"temperature", real(&engine::SamplingOptions::temperature, 0.0F, 100.0F)},
        {"top-p", real(&engine::SamplingOptions::top_p, 0.0F, 1.0F)},
        {"min-p", real(&engine::SamplingOptions::min_p, 0.0F, 1.0F)},
        {"repeat-penalty", real(&engine::SamplingOptions::repeat_penalty, 0.01F, 100.0F)},
        {"top-k",
         {[](const ReplySettings & s) { return fmt::format("{}", s.sampling.top_k); },
          [](ReplySettings & s, const std::string & text) { return parse(text, s.sampling.top_k, 0, 1 << 20); }}},
        {"seed",
         {[](const ReplySettings & s) { return fmt::format("{}", s.sampling.seed); },
          [](ReplySettings & s, const std::string & text) { return parse(text, s.sampling.seed, 0U, ~0U); }}},
        {"max-tokens",
         {[](const ReplySettings & s) { return fmt::format("{}", s.max_tokens); },
          [](ReplySettings & s, const std::string & text) { return parse(text, s.max_tokens, 0, 1 << 30); }}},
        {"think",
         {[](const ReplySettings & s) { return std::string(s.thinks ? "on" : "off"); },
          [](ReplySettings & s, const std::string & text) {
              if (text != "on" && text != "off") return false;
              s.thinks = text == "on";
              return true;
          }}},
    };
    return all;
}

std::string figures_text(const engine::GenerateResult & figures, uint32_t n_ctx) {
    const auto decode = figures.decode_tps();
    std::string text =
        fmt::format("[{}, TTFT {:.2f} s, {} tokens; {} of {} in the context",
                    decode ? fmt::format("{:.1f} tokens/s", *decode) : "- tokens/s", figures.ttft_ms / 1000.0,
                    figures.n_output_tokens, figures.n_prompt_tokens + figures.n_output_tokens, n_ctx);
    if (figures.speculation) text += "; " + figures.speculation->text();
    if (figures.stop_reason == engine::StopReason::stopped) text += "; stopped";
    if (figures.stop_reason == engine::StopReason::max_tokens) text += "; cut off by max-tokens";
    if (figures.stop_reason == engine::StopReason::context_full)
        text += "; cut off: the context is full (/undo, /clear, or --ctx)";
    return text + "]";
}

// The share of all uses that the tenth of the experts has that is used most: 10% where all are used alike.
std::string use_text(std::vector<engine::ExpertUse> use) {
    uint64_t all = 0;
    for (const engine::ExpertUse & one : use)
        all += one.hits;
    if (all == 0) return "no experts were computed by libggml-moe";
    std::sort(use.begin(), use.end(), [](const auto & a, const auto & b) { return a.hits > b.hits; });
    const size_t n_most = std::max<size_t>(1, use.size() / 10);
    uint64_t most = 0;
    for (size_t i = 0; i < n_most; ++i)
        most += use[i].hits;
    const auto n_used = std::count_if(use.begin(), use.end(), [](const auto & one) { return one.hits > 0; });
    return fmt::format("{} of {} experts were used; the {} that are used most have {:.0f}% of the uses", n_used,
                       use.size(), n_most, 100.0 * static_cast<double>(most) / static_cast<double>(all));
}

}  // namespace

std::vector<std::string> Chat::commands() {
    std::vector<std::string> names;
    for (const Command & command : table())
        names.push_back(command.name);
    return names;
}

void Chat::run() {
    if (terminal_.is_interactive())
        terminal_.note("/help shows the commands; \"\"\" begins and ends a text of several lines");
    while (!done_) {
        const std::optional<std::string> text = terminal_.read_message();
        if (!text) break;
        if (text->find_first_not_of(" \t\n") == std::string::npos) continue;
        try {
            if (text->starts_with("/")) {
                obey(*text);
            } else {
                ask(*text);
            }
        } catch (const Interrupted &) {
            // While the prompt was read, before the first token.
            if (!terminal_.is_interactive()) throw;
            clear_interrupt();
            terminal_.note("[stopped]");
        } catch (const Error & error) {
            terminal_.note(error.what());
        }
    }
    if (!terminal_.is_interactive()) check_interrupted();
}

void Chat::ask(const std::string & text) {
    answer(/*again=*/false, text);
}

void Chat::answer(bool again, const std::string & text) {
    const engine::OnReply write = [&](bool is_thought, std::string_view piece) {
        if (is_thought) {
            terminal_.write_thought(piece);
        } else {
            terminal_.write_answer(piece);
        }
        return true;
    };
    const engine::Reply reply = again ? conversation_.say_again(write) : conversation_.say(text, write);
    terminal_.end_answer();
    terminal_.note(figures_text(reply.figures, model_.n_ctx()));
    if (reply.figures.stop_reason == engine::StopReason::stopped && terminal_.is_interactive()) clear_interrupt();
}

void Chat::obey(std::string_view line) {
    const size_t space = line.find_first_of(" \t\n");
    const std::string name(line.substr(0, space));
    std::string argument(space == std::string_view::npos ? "" : line.substr(space + 1));
    argument.erase(0, std::min(argument.size(), argument.find_first_not_of(" \t")));
    for (const Command & command : table()) {
        if (command.name == name || (name == "/bye" && command.name == "/exit") ||
            (name == "/quit" && command.name == "/exit"))
            return (this->*command.handler)(argument);
    }
    terminal_.note(fmt::format("there is no command {} (/help shows them)", name));
}

void Chat::help(const std::string & /*argument*/) {
    for (const Command & command : table())
        terminal_.note(fmt::format("{:<22} {}", fmt::format("{} {}", command.name, command.argument), command.help));
    terminal_.note(
        "\"\"\" begins and ends a text of several lines; a \\ at the end of a line goes on; Ctrl-C stops an answer");
}

void Chat::system(const std::string & text) {
    if (!text.empty()) conversation_.set_system(text == "-" ? "" : text);
    const std::string & now = conversation_.system();
    terminal_.note(now.empty() ? "no system message" : fmt::format("system message: {}", now));
}

namespace {

// As it is typed or dropped into a terminal: in quotes, with '\' before a space, or with "~" for the home folder.
fs::path typed_path(std::string text) {
    while (!text.empty() && text.back() == ' ')
        text.pop_back();
    const bool quoted = text.size() > 1 && (text.front() == '\'' || text.front() == '"') && text.back() == text.front();
    if (quoted) return text.substr(1, text.size() - 2);
    const char * home = std::getenv("HOME");
    if (text.starts_with("~/") && home != nullptr) text = home + text.substr(1);
    if (fs::exists(text)) return text;
    for (size_t at = text.find('\\'); at != std::string::npos; at = text.find('\\', at + 1))
        text.erase(at, 1);
    return text;
}

}  // namespace

void Chat::image(const std::string & file) {
    if (file == "-") conversation_.hide();
    if (!file.empty() && file != "-") conversation_.show(engine::read_image(typed_path(file)));
    std::string names;
    for (const engine::Image & image : conversation_.shown())
        names += (names.empty() ? "" : ", ") + image.file;
    terminal_.note(names.empty() ? "no picture goes with the next question"
                                 : fmt::format("with the next question: {}", names));
}

void Chat::again(const std::string & /*argument*/) {
    answer(/*again=*/true, "");
}

void Chat::take_back(const std::string & /*argument*/) {
    if (!conversation_.take_back()) return terminal_.note("there is nothing to take back");
    terminal_.note(fmt::format("taken back; {} question(s) are left", conversation_.messages().size() / 2));
}

void Chat::clear(const std::string & /*argument*/) {
    conversation_.clear();
    terminal_.note("a new conversation");
}

void Chat::save(const std::string & file) {
    if (file.empty()) fail_usage("/save FILE: which file?");
    conversation_.save(file);
    terminal_.note(fmt::format("saved in {}", file));
}

void Chat::load(const std::string & file) {
    if (file.empty()) fail_usage("/load FILE: which file?");
    conversation_.load(file);
    terminal_.note(fmt::format("{} question(s) from {}", conversation_.messages().size() / 2, file));
}

void Chat::set(const std::string & assignment) {
    const size_t space = assignment.find_first_of(" =");
    const std::string name = assignment.substr(0, space);
    if (!name.empty()) {
        const auto found = settings().find(name);
        if (found == settings().end()) fail_usage("/set {}: there is no such setting (/set shows them)", name);
        const std::string value = space == std::string::npos ? "" : assignment.substr(space + 1);
        if (!found->second.set(conversation_.settings, value))
            fail_usage("/set {}: '{}' is no value for it", name, value);
    }
    std::string text;
    for (const auto & [one, setting] : settings()) {
        if (name.empty() || name == one)
            text += fmt::format("{}{} {}", text.empty() ? "" : ", ", one, setting.get(conversation_.settings));
    }
    terminal_.note(text);
}

void Chat::show_experts(const std::string & /*argument*/) {
    terminal_.note(fmt::format("placement {}{}", engine::to_text(model_.placement().placement), vram_text(model_)));
    const uint64_t in_ram = model_.expert_ram_bytes();
    if (in_ram > 0) terminal_.note(fmt::format("experts in RAM: {}", format_bytes(in_ram)));
    const std::string cache = expert_cache_text(model_);
    if (!cache.empty()) terminal_.note(cache);
    const std::string disk = expert_disk_text();
    if (!disk.empty()) terminal_.note(disk);
    if (auto use = engine::expert_use()) terminal_.note(use_text(std::move(*use)));
}

void Chat::leave(const std::string & /*argument*/) {
    done_ = true;
}

}  // namespace shimmy::cli
