#include "report/values/wording.h"

#include "base/error.h"
#include "base/text/text.h"
#include "report/text/text.h"

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr const char * TEMPLATE = "sentences.txt.jinja";

// Line breaks in what people and programs wrote must not become lines of their own.
Json on_one_line(const Json & figures) {
    if (figures.is_string()) return one_line(figures.get<std::string>());
    if (!figures.is_structured()) return figures;
    Json copy = figures;
    for (auto & value : copy)
        value = on_one_line(value);
    return copy;
}

std::vector<std::string> rendered(const Templates & templates, const std::vector<Finding> & findings) {
    Json facts = Json::array();
    for (const Finding & finding : findings) {
        Json fact{{"kind", finding.kind}};
        fact.update(on_one_line(finding.figures));
        facts.push_back(std::move(fact));
    }
    std::vector<std::string> lines = split(templates.render(TEMPLATE, {{"facts", std::move(facts)}}), '\n');
    lines.pop_back();  // behind the last line break
    return lines;
}

}  // namespace

std::vector<std::string> sentences(const Templates & templates, const std::vector<Finding> & findings) {
    if (findings.empty()) return {};
    std::vector<std::string> lines = rendered(templates, findings);
    if (lines.size() == findings.size()) return lines;
    const auto wrong = std::find_if(findings.begin(), findings.end(), [&](const Finding & finding) {
        return rendered(templates, {finding}).size() != 1;
    });
    fail("{}: it must have one line for each kind of fact: '{}' has {}", templates.find(TEMPLATE).string(), wrong->kind,
         rendered(templates, {*wrong}).size());
}

}  // namespace shimmy::report
