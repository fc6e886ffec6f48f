#include "report/text/text.h"

#include "base/text/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>

namespace shimmy::report {

std::string figure(double value) {
    if (value < 9.995) return fmt::format("{:.2f}", value);
    if (value < 99.95) return fmt::format("{:.1f}", value);
    return fmt::format("{:.0f}", value);
}

std::string median_and_range(const lab::Statistics & statistics) {
    return fmt::format("{}\n{}–{}", figure(statistics.median), figure(statistics.min), figure(statistics.max));
}

std::string mean_and_interval(const lab::Statistics & statistics) {
    const std::optional<double> half = statistics.ci95_half_width();
    return half ? fmt::format("{} ± {}", figure(statistics.mean), figure(*half)) : figure(statistics.mean);
}

std::string plus_minus(double value, double error, int decimals) {
    return fmt::format("{:.{}f} ± {:.{}f}", value, decimals, error, decimals);
}

std::string one_line(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return text;
}

std::string markdown_text(const std::string & text) {
    static const std::map<char, std::string> entities{{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
    const std::string line = one_line(text);
    const auto is_word = [&](size_t at) {
        return at < line.size() && std::isalnum(static_cast<unsigned char>(line[at])) != 0;
    };
    std::string out;
    for (size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        const bool in_a_word = c == '_' && i > 0 && is_word(i - 1) && is_word(i + 1);  // "Q4_K_M" is no emphasis
        const auto entity = entities.find(c);
        if (entity != entities.end())
            out += entity->second;
        else if (!in_a_word && std::strchr("\\`*_[]~!", c) != nullptr)
            out += std::string("\\") + c;
        else
            out += c;
    }
    return out;
}

std::string markdown_code(const std::string & text) {
    std::string line = one_line(text);
    std::erase(line, '`');
    return "`" + line + "`";
}

std::string device_line(const lab::Conditions & conditions) {
    const lab::DeviceFacts & device = conditions.device;
    return fmt::format("{}: {} ({}, {}){}", device.name, device.description, device.backend, device.kind,
                       device.software ? " — software device: speeds are not a GPU's" : "");
}

std::string host_line(const lab::Conditions & conditions) {
    const Host & host = conditions.host;
    return fmt::format("{}, {} cores, {} RAM, {}", host.cpu, host.n_cores, format_bytes(host.ram_bytes), host.os);
}

std::string placement_option(engine::Placement placement) {
    if (!placement.offloads()) return "none";
    return placement == engine::Placement::offload() ? "`--cpu-moe`"
                                                     : fmt::format("`--n-cpu-moe {}`", placement.n_cpu_moe);
}

std::string mode_name(lab::Mode mode) {
    switch (mode) {
        case lab::Mode::stream:
            return "HTTP, streaming";
        case lab::Mode::no_stream:
            return "HTTP, not streaming";
        case lab::Mode::generate:
        case lab::Mode::load:
        case lab::Mode::task:
            break;
    }
    return "in process";
}

}  // namespace shimmy::report
