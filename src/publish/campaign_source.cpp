#include "publish/campaign_source.h"

#include "base/error.h"
#include "lab/campaign/campaign.h"
#include "lab/plan/plan_file.h"

namespace shimmy::publish {

CampaignSource find_campaign(const std::string & campaign, const std::string & out_dir) {
    std::error_code ignored;
    if (fs::is_directory(campaign, ignored)) {
        if (!out_dir.empty()) fail_usage("{} is a folder with results already: leave out --out", campaign);
        const std::string file = lab::read_plan(campaign).campaign.file.string();
        return {campaign, file, fmt::format("shimmy lab run {} --out {}", file, campaign)};
    }
    const lab::Campaign read = lab::read_campaign(campaign);
    return {out_dir.empty() ? read.out_dir : fs::path(out_dir), campaign,
            "shimmy lab run " + campaign + (out_dir.empty() ? "" : " --out " + out_dir)};
}

lab::CampaignPlan read_campaign_plan(const CampaignSource & source) {
    lab::CampaignPlan plan = lab::read_plan(source.out_dir);
    std::error_code ignored;
    if (!fs::is_regular_file(source.campaign_file, ignored)) return plan;
    const lab::Campaign now = lab::read_campaign(source.campaign_file);
    if (now.name == plan.campaign.name) lab::take_document_keys(plan, now);
    return plan;
}

}  // namespace shimmy::publish
