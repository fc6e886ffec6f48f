#include "tune/profile.h"

#include "base/digest.h"
#include "base/error.h"
#include "base/host/config_dir.h"
#include "base/host/hardware.h"
#include "base/host/host.h"
#include "base/json.h"

#include <algorithm>
#include <fstream>

namespace shimmy::tune {

namespace {

constexpr int FORMAT = 1;  // a file of another is passed over
constexpr uint64_t HEAD_BYTES = 1 << 20;
constexpr uint64_t TAIL_BYTES = 64 << 10;
constexpr size_t N_NAME_HASH = 12;

Json to_json(const Machine & machine) {
    return {
        {"cpu", machine.cpu}, {"n_cores", machine.n_cores}, {"ram_bytes", machine.ram_bytes}, {"gpus", machine.gpus}};
}

Machine machine_from(const Json & document) {
    Machine machine;
    document.at("cpu").get_to(machine.cpu);
    document.at("n_cores").get_to(machine.n_cores);
    document.at("ram_bytes").get_to(machine.ram_bytes);
    document.at("gpus").get_to(machine.gpus);
    return machine;
}

Json to_json(const Profile & profile) {
    Json choices = Json::array();
    for (const Choice & choice : profile.choices)
        choices.push_back({{"setting", choice.setting},
                           {"value", choice.value},
                           {"options", choice.options},
                           {"worth", choice.worth}});
    return {{"format", FORMAT},
            {"model",
             {{"name", profile.model.name},
              {"size_bytes", profile.model.size_bytes},
              {"sha256_of_both_ends", profile.model.sha256}}},
            {"machine", to_json(profile.machine)},
            {"shimmy_version", profile.versions.shimmy},
            {"llama_cpp_version", profile.versions.llama_cpp},
            {"goal", profile.goal},
            {"tuned_at", profile.tuned_at},
            {"given", profile.given},
            {"n_ctx", profile.n_ctx},
            {"n_parallel", profile.n_parallel},
            {"choices", choices},
            {"gain", profile.gain}};
}

// Throws for a document of another form.
Profile profile_from(const Json & document) {
    if (document.at("format").get<int>() != FORMAT) fail("another format");
    Profile profile;
    const Json & model = document.at("model");
    model.at("name").get_to(profile.model.name);
    model.at("size_bytes").get_to(profile.model.size_bytes);
    model.at("sha256_of_both_ends").get_to(profile.model.sha256);
    profile.machine = machine_from(document.at("machine"));
    document.at("shimmy_version").get_to(profile.versions.shimmy);
    document.at("llama_cpp_version").get_to(profile.versions.llama_cpp);
    document.at("goal").get_to(profile.goal);
    document.at("tuned_at").get_to(profile.tuned_at);
    document.at("given").get_to(profile.given);
    document.at("n_ctx").get_to(profile.n_ctx);
    document.at("n_parallel").get_to(profile.n_parallel);
    document.at("gain").get_to(profile.gain);
    for (const Json & one : document.at("choices")) {
        Choice & choice = profile.choices.emplace_back();
        one.at("setting").get_to(choice.setting);
        one.at("value").get_to(choice.value);
        one.at("options").get_to(choice.options);
        one.at("worth").get_to(choice.worth);
    }
    return profile;
}

// What is at `file`, if it is a profile.
std::optional<Profile> read_profile(const fs::path & file) {
    try {
        return profile_from(read_json(file));
    } catch (const std::exception &) {
        return std::nullopt;
    }
}

std::string hash_of_ends(const fs::path & file, uint64_t size_bytes) {
    std::ifstream stream(file, std::ios::binary);
    std::string bytes(std::min(size_bytes, HEAD_BYTES), '\0');
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    Digest digest(Digest::Kind::sha256);
    digest.update(bytes);
    bytes.resize(std::min(size_bytes, TAIL_BYTES));
    stream.seekg(-static_cast<std::streamoff>(bytes.size()), std::ios::end);
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    digest.update(bytes);
    if (!stream) fail("{}: cannot be read", file.string());
    return digest.hex();
}

std::string file_name(const Profile & profile) {
    std::string key_text = profile.model.sha256 + json_text(to_json(profile.machine));
    for (const std::string & word : device_words(profile.given))
        key_text += " " + word;
    const std::string key = sha256_hex(key_text);
    return fmt::format("{}-{}.json", fs::path(profile.model.name).stem().string(), key.substr(0, N_NAME_HASH));
}

}  // namespace

std::vector<std::string> device_words(const std::vector<std::string> & words) {
    std::vector<std::string> found;
    for (const char * flag : DEVICE_FLAGS) {
        const auto at = std::find(words.begin(), words.end(), flag);
        if (at != words.end() && at + 1 != words.end()) found.insert(found.end(), {flag, *(at + 1)});
    }
    return found;
}

ModelIdentity identify(const fs::path & model) {
    require_readable_file(model);
    ModelIdentity identity{model.filename().string(), fs::file_size(model), ""};
    identity.sha256 = hash_of_ends(model, identity.size_bytes);
    return identity;
}

Machine this_machine() {
    const Host here = host();
    // The kernel's share of the RAM differs a little from version to version.
    constexpr uint64_t STEP = 256 << 20;
    return {here.cpu, here.n_cores, (here.ram_bytes + STEP / 2) / STEP * STEP, display_adapters()};
}

fs::path profiles_dir() {
    const fs::path dir = config_dir();
    return dir.empty() ? dir : dir / "profiles";
}

fs::path save(const Profile & profile, const fs::path & dir) {
    make_folders(dir);
    const fs::path file = dir / file_name(profile);
    write_file_atomic(file, json_text(to_json(profile)) + "\n");
    // The same model under another name had another file.
    const std::string end = file.filename().string().substr(fs::path(profile.model.name).stem().string().size());
    for (const auto & entry : fs::directory_iterator(dir))
        if (entry.path() != file && entry.path().filename().string().ends_with(end)) fs::remove(entry.path());
    return file;
}

std::optional<FoundProfile> find_profile(const fs::path & dir, const fs::path & model, const Machine & machine,
                                         const Versions & versions, const std::vector<std::string> & devices) {
    std::error_code error;
    if (dir.empty() || !fs::is_directory(dir, error)) return std::nullopt;
    const uint64_t size_bytes = fs::file_size(model, error);
    if (error) return std::nullopt;
    std::optional<ModelIdentity> identity;  // read if a profile of this size is there
    std::vector<fs::path> files;
    for (const auto & entry : fs::directory_iterator(dir, error))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    std::optional<FoundProfile> found;
    for (const fs::path & file : files) {
        auto profile = read_profile(file);
        if (!profile || profile->model.size_bytes != size_bytes || profile->machine != machine) continue;
        if (!identity) identity = identify(model);
        if (profile->model != *identity) continue;
        const bool is_stale = profile->versions != versions;
        const bool is_of_these = device_words(profile->given) == devices;
        if (is_of_these || !found) found = FoundProfile{file, std::move(*profile), is_stale};
        if (is_of_these) break;
    }
    return found;
}

}  // namespace shimmy::tune
