#include "library/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>

namespace shimmy::library {
namespace {

// Sets variables and puts back what was there.
class Variables {
public:
    explicit Variables(const std::map<std::string, const char *> & values) {
        for (const auto & [name, value] : values) {
            const char * before = std::getenv(name.c_str());
            before_[name] = before == nullptr ? std::nullopt : std::optional<std::string>(before);
            set(name, value);
        }
    }
    ~Variables() {
        for (const auto & [name, value] : before_)
            set(name, value ? value->c_str() : nullptr);
    }
    Variables(const Variables &) = delete;
    Variables & operator=(const Variables &) = delete;

private:
    static void set(const std::string & name, const char * value) {
        value == nullptr ? ::unsetenv(name.c_str()) : ::setenv(name.c_str(), value, 1);
    }
    std::map<std::string, std::optional<std::string>> before_;
};

TEST(Environment, EveryVariableIsItsOwn) {
    const Variables set({{"HOME", "/h"},
                         {"SHIMMY_BASE_GGUF", "/b"},
                         {"SHIMMY_MODEL_PATHS", "/m;/n"},
                         {"OLLAMA_MODELS", "/o"},
                         {"HF_HUB_CACHE", "/c"},
                         {"HF_HOME", "/f"}});
    const Environment found = read_environment();
    EXPECT_EQ(found.working_dir, fs::current_path());
    EXPECT_EQ(found.home, "/h");
    EXPECT_EQ(found.base_gguf, "/b");
    EXPECT_EQ(found.model_paths, "/m;/n");
    EXPECT_EQ(found.ollama_models, "/o");
    EXPECT_EQ(found.hf_hub_cache, "/c");
    EXPECT_EQ(found.hf_home, "/f");
}

TEST(Environment, WhatIsNotSetIsEmpty) {
    const Variables none({{"SHIMMY_BASE_GGUF", nullptr}, {"OLLAMA_MODELS", nullptr}});
    EXPECT_EQ(read_environment().base_gguf, "");
    EXPECT_EQ(read_environment().ollama_models, "");
}

}  // namespace
}  // namespace shimmy::library
