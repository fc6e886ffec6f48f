// shimmy init: files for running the server as a service, in a container or on a cluster.
#include "base/embed.h"
#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "cli/command.h"

#include <map>
#include <memory>

// SHIMMY_DEPLOY_DIR comes from src/CMakeLists.txt.
SHIMMY_EMBED(shimmy::cli::templates, systemd_unit, SHIMMY_DEPLOY_DIR "/shimmy.service")
SHIMMY_EMBED(shimmy::cli::templates, dockerfile, SHIMMY_DEPLOY_DIR "/Dockerfile")
SHIMMY_EMBED(shimmy::cli::templates, container_start, SHIMMY_DEPLOY_DIR "/container-start.sh")
SHIMMY_EMBED(shimmy::cli::templates, compose, SHIMMY_DEPLOY_DIR "/compose.yaml")
SHIMMY_EMBED(shimmy::cli::templates, kubernetes, SHIMMY_DEPLOY_DIR "/kubernetes.yaml")

namespace shimmy::cli {

namespace {

struct File {
    std::string name;
    std::string_view content;
    bool executable = false;
};

const std::map<std::string, std::vector<File>> & all_templates() {
    static const std::map<std::string, std::vector<File>> templates{
        {"systemd", {{"shimmy.service", templates::systemd_unit()}}},
        {"docker",
         {{"Dockerfile", templates::dockerfile()},
          {"container-start.sh", templates::container_start(), /*executable=*/true},
          {"compose.yaml", templates::compose()}}},
        {"kubernetes", {{"kubernetes.yaml", templates::kubernetes()}}},
    };
    return templates;
}

std::vector<std::string> template_names() {
    std::vector<std::string> names;
    for (const auto & [name, files] : all_templates())
        names.push_back(name);
    return names;
}

int run_init(const std::string & name, const fs::path & dir, const Globals & globals) {
    const std::vector<File> & files = all_templates().at(name);
    ensure_writable_dir(dir);
    for (const File & file : files) {
        if (fs::exists(dir / file.name))
            fail("{}: exists already, and is not overwritten: choose another folder with -o",
                 (dir / file.name).string());
    }
    Json written = Json::array();
    for (const File & file : files) {
        const fs::path path = dir / file.name;
        write_file_atomic(path, file.content);
        if (file.executable)
            fs::permissions(path, fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec,
                            fs::perm_options::add);
        written.push_back(path.string());
    }
    if (globals.json) {
        fmt::print("{}\n", json_text(Json{{"template", name}, {"files", written}}));
        return 0;
    }
    for (const Json & path : written)
        fmt::print("{}\n", path.get<std::string>());
    fmt::print(stderr, "the first lines of {} say how to use it\n", files.front().name);
    return 0;
}

}  // namespace

void add_init(Commands & commands) {
    auto name = std::make_shared<std::string>();
    auto dir = std::make_shared<std::string>("deploy");
    CLI::App * command =
        commands.add("init", "write the files to run the server as a service, in a container or on a cluster",
                     [name, dir, &commands] { return run_init(*name, *dir, commands.globals()); });
    command->add_option("-t,--template", *name, "what to write files for")
        ->type_name("docker|kubernetes|systemd")
        ->check(CLI::IsMember(template_names()))
        ->required();
    command->add_option("-o,--out", *dir, "folder to write into")->type_name("DIR")->capture_default_str();
    command->footer(
        "docker: Dockerfile and compose.yaml, for the folder of shimmy's source. kubernetes: a deployment with probes, "
        "a service and a volume. systemd: a unit. Files that exist are not overwritten.");
}

}  // namespace shimmy::cli
