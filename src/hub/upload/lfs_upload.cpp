#include "hub/upload/lfs_upload.h"

#include "hub/upload/file_hashes.h"
#include "hub/upload/multipart_state.h"
#include "hub/upload/part_sender.h"

#include <optional>

namespace shimmy::hub {

namespace {

// Addresses that are refused this often without a part getting through are not refused for their age.
constexpr int MAX_FRUITLESS_RENEWALS = 3;
// A new upload wants all parts again: if its addresses expire before they are sent, so will the next one's.
constexpr int MAX_NEW_UPLOADS = 2;
constexpr std::chrono::seconds COMPLETION_PATIENCE{600};  // the storage puts thousands of parts together

class Upload {
public:
    Upload(const Api & api, const LfsTarget & target, const LfsObject & object, const UploadOptions & options,
           const ByteProgress & progress)
        : api_(api), target_(target), object_(object), options_(options), progress_(progress) {}

    UploadResult run() {
        UploadActions actions = ask();
        if (actions.stored) {
            MultipartState(options_.state_dir, state_key(), object_.sha256, object_.size_bytes).remove();
            return {true, 0};
        }
        const std::string verify_href = actions.verify_href;
        if (actions.chunk_bytes == 0) {
            put_whole(std::move(actions));
        } else {
            put_parts(std::move(actions));
        }
        confirm_upload(api_, verify_href, object_.sha256, object_.size_bytes);
        return result_;
    }

private:
    std::string state_key() const { return api_.environment().endpoint + "/" + target_.repo; }
    UploadActions ask() const { return request_upload(api_, target_, object_.sha256, object_.size_bytes); }

    [[noreturn]] void fail_storage(const Response & response) const {
        fail("{}: the storage answered HTTP {} {}", object_.file.string(), response.status, server_message(response));
    }

    void put_whole(UploadActions actions) {
        for (int renewals = 0;; ++renewals) {
            Request request;
            request.method = "PUT";
            request.url = actions.href;  // signed: no token
            Digest hash(Digest::Kind::sha256);
            request.file = FileSlice{object_.file, 0, object_.size_bytes, &hash};
            request.on_sent = [this](uint64_t n_bytes) {
                if (progress_) progress_(n_bytes, object_.size_bytes);
            };
            request.patience = COMPLETION_PATIENCE;
            const Response response = send_retrying(request, object_.file.filename().string(), api_.note());
            if (hash.n_bytes() == object_.size_bytes) require_hash(object_, hash.hex());
            if (response.ok()) break;
            if (response.status != 403 || renewals == MAX_FRUITLESS_RENEWALS) fail_storage(response);
            actions = ask();
            if (actions.stored) break;
            if (actions.chunk_bytes > 0) return put_parts(std::move(actions));
        }
        result_.sent_bytes += object_.size_bytes;
    }

    void put_parts(UploadActions fresh) {
        MultipartState state(options_.state_dir, state_key(), object_.sha256, object_.size_bytes);
        bool fresh_is_used = true;
        if (!state.is_started()) {
            state.start(fresh);
        } else if (is_same_upload(state.actions(), fresh)) {
            state.renew(fresh);
        } else {
            fresh_is_used = false;  // what was begun may still be taken: its parts are there
        }
        const ByteProgress progress = [this](uint64_t done, uint64_t total) {
            hashes_->check();  // no need to send all of a wrong file
            if (progress_) progress_(done, total);
        };
        PartSender sender(object_, state, api_.note(), progress);
        bool was_wrong = false;
        for (int n_fruitless = 0;;) {
            const uint64_t part_bytes = state.actions().chunk_bytes;
            if (!hashes_ || hashes_->part_bytes() != part_bytes) hashes_.emplace(object_, part_bytes);
            const size_t n_before = state.n_done();
            const bool all_sent = sender.run(options_.n_parallel) == PartsOutcome::all_sent;
            result_.sent_bytes = sender.sent_bytes();
            if (all_sent && forget_wrong_parts(state) > 0) {
                if (was_wrong) fail("{}: is being written to: run the command again afterwards", object_.file.string());
                was_wrong = true;
                continue;
            }
            if (all_sent && complete(state)) break;
            n_fruitless = state.n_done() > n_before ? 0 : n_fruitless + 1;
            if (n_fruitless > MAX_FRUITLESS_RENEWALS)
                fail("{}: the storage refuses every address that the Hub gives for it", object_.file.string());
            // A completion whose answer was lost leaves an object that is there.
            if (fresh_is_used || all_sent) fresh = ask();
            if (fresh.stored) break;
            if (fresh.chunk_bytes == 0)
                fail("{}: the Hub does not want it in parts any more: run the command again", object_.file.string());
            fresh_is_used = true;
            go_on_with(fresh, state);
        }
        state.remove();
    }

    // Parts whose bytes were others when they were sent, by this process or an earlier one, are missing. Returns how
    // many.
    size_t forget_wrong_parts(MultipartState & state) const {
        const std::vector<std::string> & hashes = hashes_->parts();
        size_t n_wrong = 0;
        for (size_t part = 0; part < hashes.size(); ++part) {
            if (state.parts()[part].sha256 == hashes[part]) continue;
            state.set(part, {});
            ++n_wrong;
        }
        if (n_wrong > 0 && api_.note()) {
            api_.note()(fmt::format("{}: {} parts were sent with other bytes: they are sent again",
                                    object_.file.filename().string(), n_wrong));
        }
        return n_wrong;
    }

    void go_on_with(const UploadActions & fresh, MultipartState & state) {
        if (is_same_upload(state.actions(), fresh)) return state.renew(fresh);
        if (state.n_done() > 0 && ++n_new_uploads_ > MAX_NEW_UPLOADS) {
            fail(
                "{}: the Hub's addresses expire before its {} parts are sent ({} were): publish it from a faster "
                "connection, or in smaller files",
                object_.file.string(), state.parts().size(), state.n_done());
        }
        if (state.n_done() > 0 && api_.note()) {
            api_.note()(fmt::format("{}: the Hub has begun a new upload: its {} parts are sent again",
                                    object_.file.filename().string(), state.n_done()));
        }
        state.start(fresh);
    }

    // False if the storage does not know the upload (any more), or its address has expired.
    bool complete(MultipartState & state) const {
        Json parts = Json::array();
        for (size_t part = 0; part < state.parts().size(); ++part)
            parts.push_back({{"partNumber", part + 1}, {"etag", state.parts()[part].etag}});
        Request request;
        request.method = "POST";
        request.url = state.actions().href;  // signed: no token
        request.body = json_text(Json{{"oid", object_.sha256}, {"parts", parts}}, -1);
        request.headers = {std::string("Content-Type: ") + LFS_JSON_TYPE, std::string("Accept: ") + LFS_JSON_TYPE};
        request.patience = COMPLETION_PATIENCE;
        const Response response =
            send_retrying(request, "completion of " + object_.file.filename().string(), api_.note());
        if (response.ok()) return true;
        if (response.status == 403 || response.status == 404) return false;
        if (response.status < 500) state.remove();  // these parts do not make the object: the next try sends them anew
        fail_storage(response);
    }

    const Api & api_;
    const LfsTarget & target_;
    const LfsObject & object_;
    const UploadOptions & options_;
    const ByteProgress & progress_;
    std::optional<FileHashes> hashes_;  // of the parts as the Hub wants them
    UploadResult result_;
    int n_new_uploads_ = 0;  // in place of one that had parts
};

}  // namespace

UploadResult upload_object(const Api & api, const LfsTarget & target, const LfsObject & object,
                           const UploadOptions & options, const ByteProgress & progress) {
    return Upload(api, target, object, options, progress).run();
}

}  // namespace shimmy::hub
