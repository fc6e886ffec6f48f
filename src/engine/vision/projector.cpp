#include "engine/vision/projector.h"

#include "base/error.h"
#include "base/process/interrupt.h"
#include "engine/llama/log.h"

#include "mtmd-helper.h"
#include "mtmd.h"

#include <algorithm>
#include <random>

namespace shimmy::engine {

namespace {

std::string random_mark() {
    std::random_device random;
    return fmt::format("<__media_{:08x}{:08x}__>", random(), random());
}

// What the server of llama.cpp takes of them.
mtmd_context_params params_of(const LoadParams & load, const std::string & mark) {
    const common_params & common = load.common();
    mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu = common.mmproj_use_gpu;
    params.device = common.mmproj_device;
    params.print_timings = false;
    params.n_threads = load.n_threads();
    params.media_marker = mark.c_str();
    params.flash_attn_type = common.flash_attn_type;
    params.warmup = common.warmup;
    params.image_min_tokens = common.image_min_tokens;
    params.image_max_tokens = common.image_max_tokens;
    params.batch_max_tokens = common.mtmd_batch_max_tokens;
    return params;
}

}  // namespace

size_t PicturedTokens::n_cells(size_t n_positions) const {
    size_t n = n_positions;
    for (const Picture & picture : pictures)
        if (picture.end() <= n_positions) n += picture.n_tokens - picture.n_positions;
    return n;
}

Projector::Projector(std::string name, std::string mark)
    : name_(std::move(name)), mark_(std::move(mark)), context_(nullptr, mtmd_free) {}

Projector::~Projector() = default;

std::unique_ptr<Projector> Projector::load(const LoadParams & params, const llama_model * model) {
    const std::string & path = params.common().mmproj.path;
    if (path.empty()) return nullptr;
    std::unique_ptr<Projector> projector(new Projector(path, random_mark()));
    const LogCapture log;
    try {
        projector->context_.reset(mtmd_init_from_file(path.c_str(), model, params_of(params, projector->mark_)));
    } catch (const std::exception & error) {
        fail("{}: {}", path, log.reason(error.what()));
    }
    if (!projector->context_) fail("{}: {}", path, log.reason("llama.cpp could not load this projector (try -vv)"));
    if (!mtmd_support_vision(projector->context_.get())) fail("{}: this projector is not for pictures", path);
    return projector;
}

PicturedTokens Projector::tokenize(const std::string & text, const std::vector<Image> & images) {
    const LogCapture log;
    mtmd::bitmaps bitmaps;
    for (const Image & image : images) {
        const auto * bytes = reinterpret_cast<const unsigned char *>(image.bytes->data());
        mtmd_bitmap * bitmap = mtmd_helper_bitmap_init_from_buf(context_.get(), bytes, image.bytes->size(),
                                                                /*placeholder=*/false, mtmd_helper_init_opt_default())
                                   .bitmap;
        if (bitmap == nullptr) fail("{}: {}", image.file, log.reason("this picture cannot be decoded"));
        bitmaps.entries.emplace_back(bitmap);
    }
    const auto pointers = bitmaps.c_ptr();
    const mtmd_input_text input{text.c_str(), text.size(), /*add_special=*/true, /*parse_special=*/true};
    const mtmd::input_chunks_ptr chunks(mtmd_input_chunks_init());
    if (mtmd_tokenize(context_.get(), chunks.get(), &input, pointers.data(), pointers.size()) != 0)
        fail("{}: {}", name_, log.reason("the prompt's pictures cannot be prepared (try -vv)"));
    PicturedTokens result;
    for (size_t i = 0; i < mtmd_input_chunks_size(chunks.get()); ++i)
        append(mtmd_input_chunks_get(chunks.get(), i), result);
    return result;
}

void Projector::append(const mtmd_input_chunk * chunk, PicturedTokens & into) {
    if (mtmd_input_chunk_get_type(chunk) == MTMD_INPUT_CHUNK_TYPE_TEXT) {
        size_t n = 0;
        const llama_token * tokens = mtmd_input_chunk_get_tokens_text(chunk, &n);
        into.tokens.insert(into.tokens.end(), tokens, tokens + n);
        return;
    }
    // A picture may come in several slices, which have its hash and one size or another.
    const std::string id = fmt::format("{} {} {}", mtmd_input_chunk_get_id(chunk), into.pictures.size(),
                                       mtmd_input_chunk_get_n_tokens(chunk));
    auto found = std::find(seen_.begin(), seen_.end(), id);
    if (found == seen_.end()) found = seen_.insert(seen_.end(), id);
    Picture picture;
    picture.begin = into.tokens.size();
    picture.n_positions = static_cast<size_t>(mtmd_input_chunk_get_n_pos(chunk));
    picture.n_tokens = mtmd_input_chunk_get_n_tokens(chunk);
    picture.chunk = {mtmd_input_chunk_copy(chunk),
                     [](const mtmd_input_chunk * c) { mtmd_input_chunk_free(const_cast<mtmd_input_chunk *>(c)); }};
    into.tokens.insert(into.tokens.end(), picture.n_positions, static_cast<llama_token>(-2 - (found - seen_.begin())));
    into.pictures.push_back(std::move(picture));
}

void Projector::compute(const Picture & picture, llama_context * context) {
    const size_t n_ubatch = llama_n_ubatch(context);
    if (mtmd_decode_use_non_causal(context_.get(), picture.chunk.get()) && picture.n_tokens > n_ubatch)
        fail("a picture of {} tokens must be computed at once, and --ubatch is {}: raise it (and --batch)",
             picture.n_tokens, n_ubatch);
    const LogCapture log;
    llama_pos end = 0;
    const int rc = mtmd_helper_eval_chunk_single(
        context_.get(), context, picture.chunk.get(), static_cast<llama_pos>(picture.begin), /*seq_id=*/0,
        static_cast<int32_t>(llama_n_batch(context)), /*logits_last=*/false, &end);
    check_interrupted();
    if (rc != 0) fail("{}: computing a picture failed: {}", name_, log.reason("try -vv"));
}

}  // namespace shimmy::engine
