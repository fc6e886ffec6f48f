#include "library/scan.h"

#include "base/error.h"
#include "base/text/text.h"
#include "library/names.h"
#include "library/ollama.h"

#include <sys/stat.h>
#include <algorithm>
#include <cctype>
#include <deque>
#include <set>
#include <utility>

namespace shimmy::library {

namespace {

constexpr const char * HF_REPOSITORY_PREFIX = "models--";

struct Folder {
    fs::path path;
    int depth = 1;  // of the files in it
};

bool is_gguf(const fs::path & path) {
    return lower(path.extension().string()) == ".gguf";
}

// What a folder is, whatever links lead to it.
std::pair<dev_t, ino_t> identity(const fs::path & path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return {0, 0};
    return {status.st_dev, status.st_ino};
}

class Scanner {
public:
    Scan finish() { return std::move(scan_); }

    void add_dir(const SearchDir & dir) {
        std::error_code error;
        if (!fs::is_directory(dir.path, error)) {
            if (dir.by_user) warn("{}: no such folder", dir.path.string());
            return;
        }
        const bool ollama = is_ollama_dir(dir.path);
        if (ollama) {
            for (const OllamaModel & model : ollama_models(dir.path, scan_.warnings)) {
                add_model(model.blob, normalized_name(model.name), dir.source, /*may_be_known=*/true);
            }
        }
        add_files(dir, ollama);
    }

private:
    template <typename... Args>
    void warn(fmt::format_string<Args...> format, Args &&... args) {
        std::string line = fmt::format(format, std::forward<Args>(args)...);
        const auto known = std::find(scan_.warnings.begin(), scan_.warnings.end(), line);
        if (known == scan_.warnings.end()) scan_.warnings.push_back(std::move(line));
    }

    // Breadth first, so that of two ways to a folder the one that leaves the most depth is taken.
    void add_files(const SearchDir & dir, bool ollama) {
        std::set<std::pair<dev_t, ino_t>> visited;
        std::deque<Folder> folders{{dir.path, 1}};
        while (!folders.empty()) {
            const Folder folder = folders.front();
            folders.pop_front();
            if (!visited.insert(identity(folder.path)).second) continue;
            for (const fs::path & path : entries(folder.path)) {
                const std::string name = path.filename().string();
                if (name.starts_with('.')) continue;
                std::error_code error;
                if (fs::is_directory(path, error)) {
                    const bool store = ollama && folder.depth == 1 && (name == "blobs" || name == "manifests");
                    const int depth = name.starts_with(HF_REPOSITORY_PREFIX) ? 1 : folder.depth + 1;
                    if (!store && depth <= MAX_DEPTH) folders.push_back({path, depth});
                } else if (is_gguf(path)) {
                    add_file(path, dir.source);
                }
            }
        }
    }

    std::vector<fs::path> entries(const fs::path & folder) {
        std::vector<fs::path> paths;
        std::error_code error;
        fs::directory_iterator it(folder, error);
        while (!error && it != fs::directory_iterator()) {
            paths.push_back(it->path());
            it.increment(error);
        }
        if (error) warn("{}: {}", folder.string(), error.message());
        std::sort(paths.begin(), paths.end());
        return paths;
    }

    void add_file(const fs::path & path, const std::string & source) {
        std::error_code error;
        if (!fs::is_regular_file(path, error)) {
            if (fs::is_symlink(path, error)) warn("{}: leads nowhere", path.string());
            return;
        }
        fs::path first = path;
        if (auto part = split_part(path.filename().string())) {
            part->part = 1;
            first = path.parent_path() / split_file_name(*part);
            try {
                model_files(first);
            } catch (const Error & missing) {
                warn("{}", missing.what());
                return;
            }
            if (first != path) return;  // listed with its first part
        }
        add_model(first, normalized_name(name_stem(first)), source);
    }

    // Ollama keeps one file for all the names that it has.
    void add_model(const fs::path & path, const std::string & name, const std::string & source,
                   bool may_be_known = false) {
        std::error_code error;
        const fs::path canonical = fs::canonical(path, error);
        if (error) return warn("{}: {}", path.string(), error.message());
        if (!files_.insert(canonical).second && !may_be_known) return;
        scan_.models.push_back({unique_name(name, source), path.lexically_normal(), source});
    }

    std::string unique_name(const std::string & name, const std::string & source) {
        std::string candidate = name;
        for (int i = 1; !names_.insert(candidate).second; ++i) {
            candidate = i == 1 ? fmt::format("{}@{}", name, source) : fmt::format("{}@{}-{}", name, source, i);
        }
        return candidate;
    }

    Scan scan_;
    std::set<fs::path> files_;
    std::set<std::string> names_;
};

}  // namespace

Scan scan(const std::vector<SearchDir> & dirs) {
    Scanner scanner;
    for (const SearchDir & dir : dirs)
        scanner.add_dir(dir);
    return scanner.finish();
}

}  // namespace shimmy::library
