// Names: repositories, models, files, branches, environment variables.
#include "hub/api/model_files.h"
#include "hub/download/pull.h"
#include "hub/http/environment.h"
#include "hub/upload/changes.h"
#include "scripted_hub.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace shimmy::hub {
namespace {

using Names = std::vector<std::string>;

TEST(HubNames, Repositories) {
    for (const std::string & repo : Names{"a/b", "User-1/Model.v2_x", "0/9", "a/" + std::string(96, 'x')})
        EXPECT_NO_THROW(check_repo_id(repo, "--repo")) << repo;
    for (const std::string repo : {"", "a", "/b", "a/", "a/b/c", "-a/b", "a/-b", ".a/b", "a b/c", "a/b--c", "a--b/c",
                                   "a/b..c", "a/b.git", "a/b-", "a/b.", "a/ü"})
        EXPECT_THROW(check_repo_id(repo, "--repo"), UsageError) << repo;
    EXPECT_NE(error_of([] { check_repo_id("a/" + std::string(97, 'x'), "--repo"); }).find("longer than the Hub's 96"),
              std::string::npos);
    EXPECT_TRUE(error_of([] { check_repo_id("x", "--repo"); }).starts_with("--repo: 'x'"));
}

TEST(HubNames, Branches) {
    for (const std::string name : {"a", "try/4-bit", "v1.0", "refs", "a.lock.b", "a@b", "x-"})
        EXPECT_NO_THROW(check_branch_name(name, "--revision")) << name;
    for (const std::string name :
         {"",       "refs/pr/1", "-a",  "/a",  ".a",  "a/",  "a.",  "a//b", "a/.b", "a..b", "a@{b", "@",
          "a.lock", "a.lock/b",  "a b", "a~b", "a^b", "a:b", "a?b", "a*b",  "a[b",  "a\\b", "a\tb", "a\x7f"})
        EXPECT_THROW(check_branch_name(name, "--revision"), UsageError) << name;
}

TEST(HubNames, Models) {
    ModelName name = parse_model_name("hf:user/tiny@try/it:Q4_K_M");
    EXPECT_EQ(name.repo, "user/tiny");
    EXPECT_EQ(name.revision, "try/it");
    EXPECT_EQ(name.quantization, "Q4_K_M");
    name = parse_model_name("user/tiny");
    EXPECT_EQ(name.repo + "|" + name.revision + "|" + name.quantization, "user/tiny|main|");
    name = parse_model_name("user/tiny:Q2_K");
    EXPECT_EQ(name.repo + "|" + name.revision + "|" + name.quantization, "user/tiny|main|Q2_K");
    for (const char * text : {"user/tiny:", "user/tiny@", "user/tiny@:Q2_K", "tiny", "hf:", ":Q2_K"})
        EXPECT_THROW(parse_model_name(text), UsageError) << text;
    EXPECT_TRUE(is_hub_name("hf:user/tiny"));
    EXPECT_FALSE(is_hub_name("user/tiny"));
    EXPECT_FALSE(is_hub_name("x/hf:y"));
}

TEST(HubNames, ADrafterIsNotTakenForTheModel) {
    const Names files{"MTP/mtp-Model-Q4_0.gguf", "Model-Q4_0.gguf", "eagle3-Model-Q4_0.gguf", "Model-draft-Q4_0.gguf",
                      "Model-MTP-Q8_0.gguf"};
    EXPECT_EQ(models_among(files), (Names{"Model-Q4_0.gguf"}));
    for (const char * drafter : {"mtp_Model_q4_0.gguf", "draft_model-Q4_0.gguf", "Model-assistant-Q4_0.gguf",
                                 "Model.Speculator.Q4_0.gguf", "eagle2/Model-Q4_0.gguf", "Medusa-Model-Q4_0.gguf"})
        EXPECT_EQ(models_among({drafter, "Model-Q4_0.gguf"}), (Names{"Model-Q4_0.gguf"})) << drafter;
    EXPECT_EQ(models_among({"MTP/mtp-Model-Q4_0.gguf"}), (Names{"MTP/mtp-Model-Q4_0.gguf"})) << "it is all there is";
    EXPECT_EQ(models_among({"a-Draftsman-Q4_0.gguf"}), (Names{"a-Draftsman-Q4_0.gguf"})) << "another word";
}

TEST(HubNames, OfSeveralFilesOfOneTypeNoneIsTakenInSilence) {
    const Names files{"a/M-Q4_K_M.gguf", "M-Q4_K_M.gguf", "M-UD-Q4_K_M.gguf", "M-it-Q2_K.gguf", "M-Q2_K.gguf"};
    EXPECT_EQ(choose_exact_model(files, "Q4_K_M", "u/m"), "M-Q4_K_M.gguf") << "not deeper, and not a mixture";
    EXPECT_EQ(choose_exact_model(files, "UD-Q4_K_M", "u/m"), "M-UD-Q4_K_M.gguf");
    const std::string error = error_of([&] { choose_exact_model(files, "Q2_K", "u/m"); });
    EXPECT_EQ(error,
              "u/m: several files hold Q2_K: name the one that you want, as in u/m:M-it-Q2_K.gguf; there is: "
              "M-it-Q2_K.gguf, M-Q2_K.gguf");
    EXPECT_EQ(choose_exact_model(files, "M-Q2_K.gguf", "u/m"), "M-Q2_K.gguf");
    EXPECT_EQ(choose_model(files, "a/M-Q4_K_M.gguf", "u/m"), "a/M-Q4_K_M.gguf");
    EXPECT_NE(error_of([&] { choose_exact_model(files, "x.gguf", "u/m"); }).find("holds no model x.gguf"),
              std::string::npos);
}

TEST(HubNames, WordsAreSeparatedAsPeopleDo) {
    for (const char * file : {"under_score_q4_k_m.gguf", "My Model Q4_K_M.gguf", "q4_k_m.gguf", "m.Q4_K_M.gguf"})
        EXPECT_TRUE(names_quantization(file, "Q4_K_M")) << file;
    EXPECT_FALSE(names_quantization("m_q4_k_m.gguf", "Q4_K")) << "the name of a quantization goes on";
    EXPECT_FALSE(names_quantization("m-q4_0_4_4.gguf", "Q4_0"));
    EXPECT_FALSE(names_quantization("m-bf16.gguf", "F16"));
}

TEST(HubNames, PartsOfNoneAreRefused) {
    EXPECT_EQ(error_of([] { parts_of("m-00001-of-00000.gguf"); }),
              "m-00001-of-00000.gguf: is part 1 of 0: no such model can be whole");
}

TEST(HubNames, ModelsAmongFiles) {
    EXPECT_EQ(
        models_among({"README.md", "a-Q4_K_M.gguf", "b/c-F16.GGUF", "mmproj-a.gguf", "a.imatrix.gguf", "x.gguf.md",
                      "s-00001-of-00003.gguf", "s-00002-of-00003.gguf", "S-00003-OF-00003.GGUF", "mmproj/d.gguf"}),
        (Names{"a-Q4_K_M.gguf", "b/c-F16.GGUF", "s-00001-of-00003.gguf", "mmproj/d.gguf"}));
    EXPECT_EQ(parts_of("d/s-00001-of-00003.gguf"),
              (Names{"d/s-00001-of-00003.gguf", "d/s-00002-of-00003.gguf", "d/s-00003-of-00003.gguf"}));
    EXPECT_EQ(parts_of("d/s.gguf"), (Names{"d/s.gguf"}));
    EXPECT_EQ(parts_of("d/s-00002-of-00003.gguf"), (Names{"d/s-00002-of-00003.gguf"}));
}

TEST(HubNames, QuantizationsInFileNames) {
    for (const char * file : {"m-Q4_K_M.gguf", "m.Q4_K_M.gguf", "Q4_K_M/m.gguf", "Q4_K_M-00001-of-00002.gguf",
                              "m-UD-q4_k_m.gguf", "mQ4_K_M-Q4_K_M.gguf", "m_Q4_K_M.gguf", "m-Q4_K_M"})
        EXPECT_TRUE(names_quantization(file, "Q4_K_M")) << file;
    for (const char * file : {"m-Q4_K_M_L.gguf", "mQ4_K_M.gguf", "m-IQ4_K_M.gguf", "m-Q4_K_MX.gguf", "m.gguf"})
        EXPECT_FALSE(names_quantization(file, "Q4_K_M")) << file;
    EXPECT_FALSE(names_quantization("m-Q4_K_M.gguf", "Q4_K"));
}

TEST(HubNames, OneOfSeveralModels) {
    const Names files{"m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-BF16.gguf", "m-F16.gguf"};
    EXPECT_EQ(choose_model(files, "q4_k_m", "u/m"), "m-Q4_K_M.gguf");
    EXPECT_EQ(choose_model(files, "Q6_K", "u/m"), "m-F16.gguf") << "it can be made from that";
    EXPECT_EQ(choose_model({"m-F32.gguf", "m-BF16.gguf"}, "Q6_K", "u/m"), "m-BF16.gguf");
    EXPECT_EQ(choose_model(files, "", "u/m"), "m-F16.gguf");
    EXPECT_EQ(choose_model({"only.gguf"}, "Q6_K", "u/m"), "only.gguf");
    EXPECT_EQ(choose_model({"a-MXFP4.gguf", "b-Q8_0.gguf"}, "MXFP4_MOE", "u/m"), "a-MXFP4.gguf");
    EXPECT_EQ(error_of([] {
                  choose_model({"a-Q2_K.gguf", "b-Q3_K.gguf"}, "Q6_K", "u/m");
              }),
              "u/m: no file holds Q6_K or could be quantized to it; there is: a-Q2_K.gguf, b-Q3_K.gguf");
    EXPECT_NE(error_of([] { choose_model({"a", "b"}, "", "u/m"); }).find("holds F16"), std::string::npos);
    EXPECT_EQ(choose_exact_model({"only.gguf"}, "", "u/m"), "only.gguf");
    EXPECT_EQ(choose_exact_model(files, "Q2_K", "u/m"), "m-Q2_K.gguf");
    EXPECT_NE(error_of([&] { choose_exact_model(files, "", "u/m"); }).find("which one?"), std::string::npos);
    EXPECT_EQ(error_of([&] { choose_exact_model(files, "Q6_K", "u/m"); }),
              "u/m: no file holds Q6_K; there is: m-Q2_K.gguf, m-Q4_K_M.gguf, m-BF16.gguf, m-F16.gguf");
    EXPECT_NE(error_of([] { choose_exact_model({"only.gguf"}, "Q6_K", "u/m"); }), "") << "it is not that one";
}

// --- environment variables

class HubEnvironment : public ::testing::Test {
protected:
    HubEnvironment() {
        for (const char * name : {"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME",
                                  "HF_HUB_OFFLINE", "HF_HUB_CACHE", "XDG_CACHE_HOME"})
            ::unsetenv(name);
        ::setenv("HOME", dir_.path().c_str(), 1);
    }
    static void set(const char * name, const std::string & value) { ::setenv(name, value.c_str(), 1); }
    TempDir dir_;
};

TEST_F(HubEnvironment, Defaults) {
    const Environment environment = read_environment();
    EXPECT_EQ(environment.endpoint.substr(0, 8), "https://");
    EXPECT_FALSE(environment.endpoint.ends_with('/'));
    EXPECT_EQ(environment.token, "");
    EXPECT_FALSE(environment.offline);
    EXPECT_EQ(environment.cache_dir, dir_ / ".cache/huggingface/hub");
    ::unsetenv("HOME");
    EXPECT_EQ(read_environment().cache_dir, fs::path(getpwuid(getuid())->pw_dir) / ".cache/huggingface/hub");
}

TEST_F(HubEnvironment, Places) {
    set("HF_ENDPOINT", " http://127.0.0.1:1// \n");
    EXPECT_EQ(read_environment().endpoint, "http://127.0.0.1:1");
    set("XDG_CACHE_HOME", "/x");
    EXPECT_EQ(read_environment().cache_dir, "/x/huggingface/hub");
    set("HF_HOME", "/h");
    EXPECT_EQ(read_environment().cache_dir, "/h/hub");
    set("HF_HUB_CACHE", "/c");
    EXPECT_EQ(read_environment().cache_dir, "/c");
}

TEST_F(HubEnvironment, TokensInTheirOrder) {
    set("HF_HOME", (dir_ / "home").string());
    fs::create_directories(dir_ / "home");
    write_file_atomic(dir_ / "home/token", "of\nhome \n");
    EXPECT_EQ(read_environment().token, "ofhome");
    write_file_atomic(dir_ / "named", "of-path\n");
    set("HF_TOKEN_PATH", (dir_ / "named").string());
    EXPECT_EQ(read_environment().token, "of-path");
    set("HF_TOKEN_PATH", (dir_ / "absent").string());
    EXPECT_EQ(read_environment().token, "") << "the file that is named, or none";
    set("HUGGING_FACE_HUB_TOKEN", "old");
    EXPECT_EQ(read_environment().token, "old");
    set("HF_TOKEN", " new ");
    EXPECT_EQ(read_environment().token, "new");
}

TEST_F(HubEnvironment, WaysToSayOffline) {
    for (const char * value : {"1", "on", "Yes", "TRUE"}) {
        set("HF_HUB_OFFLINE", value);
        EXPECT_TRUE(read_environment().offline) << value;
    }
    for (const char * value : {"", "0", "no", "off", "2"}) {
        set("HF_HUB_OFFLINE", value);
        EXPECT_FALSE(read_environment().offline) << value;
    }
    Environment environment;
    environment.offline = true;
    EXPECT_NE(error_of([&] { Api api(environment); }).find("HF_HUB_OFFLINE"), std::string::npos);
}

}  // namespace
}  // namespace shimmy::hub
