// A campaign that is to be published: its folder with the results, and its file.
#pragma once

#include "base/files.h"
#include "lab/plan/campaign_plan.h"

#include <string>

namespace shimmy::publish {

struct CampaignSource {
    fs::path out_dir;
    std::string campaign_file;
    std::string rerun_command;  // makes the runs that are missing
};

// `campaign` is a campaign's file, or the folder with its results; `out_dir` is in place of the file's own. Throws
// UsageError for both folders.
CampaignSource find_campaign(const std::string & campaign, const std::string & out_dir);

// The plan in the folder, with what the campaign's file says now about licenses, owner and the like. A file that has
// gone, or has become another campaign's, says nothing.
lab::CampaignPlan read_campaign_plan(const CampaignSource & source);

}  // namespace shimmy::publish
