#include "cli/print/publish_text.h"

#include "base/text/units.h"

#include <fmt/format.h>

#include <algorithm>

namespace shimmy::cli {

namespace {

std::string file_line(const hub::NewFile & file, const char * what) {
    return fmt::format("  {:<9} {:>10}  {}…  {}\n", what, format_bytes(file.size_bytes), file.sha256.substr(0, 12),
                       file.path);
}

std::string split_line(const publish::PlannedModel & model) {
    uint64_t bytes = 0;
    for (const uint64_t part : model.part_bytes)
        bytes += part;
    return fmt::format("  {:<9} {:>10}  {}…  {} in {} parts\n", "split", format_bytes(bytes),
                       model.model_sha256.substr(0, 12), model.files.front().filename().string(),
                       model.part_bytes.size());
}

std::string head_line(const publish::Proposal & proposal, const publish::PublishOptions & options) {
    const publish::Difference & difference = proposal.difference;
    const std::string new_branch =
        difference.creates_branch ? fmt::format("; the branch {} would be made from main", options.revision) : "";
    if (!difference.exists)
        return fmt::format("{}: would be created, {}{}\n", proposal.package.repo,
                           options.is_private ? "private" : "public", new_branch);
    if (difference.creates_branch && !difference.has_files() && proposal.package.to_be_split.empty())
        return fmt::format("{}: holds all of it already{}\n", proposal.package.repo, new_branch);
    if (difference.open_pull_request)
        return fmt::format("{}: {} holds all of it already\n", proposal.package.repo,
                           difference.open_pull_request->revision);
    if (difference.is_empty() && proposal.package.to_be_split.empty())
        return fmt::format("{}: holds all of it already\n", proposal.package.repo);
    return fmt::format("{}: {} {}{}\n", proposal.package.repo, options.create_pr ? "a pull request to" : "a commit to",
                       options.revision, new_branch);
}

Json files_json(const std::vector<hub::NewFile> & files) {
    Json list = Json::array();
    for (const hub::NewFile & file : files)
        list.push_back({{"path", file.path}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}});
    return list;
}

}  // namespace

std::string proposal_text(const publish::Proposals & proposals, const publish::PublishOptions & options) {
    std::string out = fmt::format("To {} as {}:\n", proposals.endpoint,
                                  proposals.account ? proposals.account->name : "nobody (no token)");
    uint64_t bytes = 0;
    for (const publish::Proposal & proposal : proposals.repositories) {
        const publish::Difference & difference = proposal.difference;
        out += head_line(proposal, options);
        for (const hub::NewFile & file : difference.added)
            out += file_line(file, "new");
        for (const hub::NewFile & file : difference.changed)
            out += file_line(file, "changed");
        for (const hub::NewFile & file : difference.unchanged)
            out += file_line(file, "the same");
        for (const publish::PlannedModel & model : proposal.package.to_be_split)
            out += split_line(model);
        for (const std::string & path : difference.others)
            out += fmt::format("  {:<9} {:>10}  {:<13}  {}\n", "stays", "", "", path);
        if (!difference.is_empty()) bytes += difference.bytes();
    }
    out += fmt::format("{} to send at most.\n", format_bytes(bytes));
    for (const std::string & note : proposals.plan.notes)
        out += fmt::format("Note: {}\n", note);
    return out;
}

Json proposal_document(const publish::Proposals & proposals) {
    Json repositories = Json::array();
    for (const publish::Proposal & proposal : proposals.repositories) {
        const publish::Difference & difference = proposal.difference;
        Json split = Json::array();
        for (const publish::PlannedModel & model : proposal.package.to_be_split)
            split.push_back({{"file", model.files.front().string()},
                             {"sha256", model.model_sha256},
                             {"part_size_bytes", model.part_bytes}});
        const auto & pull_request = difference.open_pull_request;
        repositories.push_back({{"repo", proposal.package.repo},
                                {"exists", difference.exists},
                                {"creates_branch", difference.creates_branch},
                                {"commit", difference.commit.empty() ? Json(nullptr) : Json(difference.commit)},
                                {"added", files_json(difference.added)},
                                {"changed", files_json(difference.changed)},
                                {"unchanged", files_json(difference.unchanged)},
                                {"to_be_split", split},
                                {"others", difference.others},
                                {"open_pull_request", pull_request ? Json(pull_request->revision) : Json(nullptr)}});
    }
    return {{"dry_run", true},
            {"endpoint", proposals.endpoint},
            {"account", proposals.account ? Json(proposals.account->name) : Json(nullptr)},
            {"repositories", repositories},
            {"notes", proposals.plan.notes}};
}

std::string outcome_text(const publish::Proposal & proposal, const publish::Outcome & outcome,
                         const std::string & endpoint) {
    std::string out;
    for (const std::string & warning : outcome.warnings)
        out += fmt::format("The Hub about the card of {}: {}\n", proposal.package.repo, warning);
    const std::string where = publish::page_url(endpoint, proposal.package.repo, outcome.commit);
    const auto n_passed = std::count_if(outcome.checks.begin(), outcome.checks.end(),
                                        [](const hub::Check & check) { return check.passed; });
    out += outcome.is_new
               ? fmt::format("{}: published, {} of large files sent; ", where, format_bytes(outcome.sent_bytes))
               : fmt::format("{}: nothing to change; ", where);
    out += fmt::format("{} of {} checks passed\n", n_passed, outcome.checks.size());
    for (const hub::Check & check : outcome.checks) {
        if (!check.passed) out += fmt::format("  failed: {}: {}\n", check.what, check.reason);
    }
    return out;
}

}  // namespace shimmy::cli
