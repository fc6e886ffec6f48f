#include "report/template/templates.h"

#include "base/error.h"
#include "base/host/data_dir.h"
#include "report/template/jinja_template.h"

#include <algorithm>

namespace shimmy::report {

namespace {

constexpr const char * SUFFIX = ".jinja";

// SHIMMY_TEMPLATES_DIR comes from src/CMakeLists.txt.
fs::path installed_templates() {
    return data_dir("templates", SHIMMY_TEMPLATES_DIR);
}

std::vector<std::string> template_names(const fs::path & dir) {
    std::vector<std::string> names;
    for (const fs::directory_entry & entry : fs::directory_iterator(dir)) {
        if (entry.path().extension() == SUFFIX) names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

Templates::Templates(const fs::path & own) : own_(own) {
    if (own.empty()) return;
    if (!fs::is_directory(own)) fail_usage("--templates {}: no such folder", own.string());
    const std::vector<std::string> names = template_names(installed_templates());
    const bool replaces = std::any_of(names.begin(), names.end(),
                                      [&](const std::string & name) { return fs::is_regular_file(own / name); });
    if (!replaces) {
        fail_usage("--templates {}: holds no template; copy one of {} from {}", own.string(), fmt::join(names, ", "),
                   installed_templates().string());
    }
}

fs::path Templates::find(const std::string & name) const {
    if (!own_.empty() && fs::is_regular_file(own_ / name)) return own_ / name;
    const fs::path installed = installed_templates() / name;
    if (!fs::is_regular_file(installed)) fail("{}: there is no such template", name);
    return installed;
}

std::string Templates::render(const std::string & name, const Json & values) const {
    return render_jinja([this](const std::string & wanted) { return find(wanted); }, name, values);
}

}  // namespace shimmy::report
