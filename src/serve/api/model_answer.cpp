#include "serve/api/model_answer.h"

namespace shimmy::serve {

Answer ask_model(ModelPool & pool, const std::string & model, const Request & request, const std::string & route,
                 Shape shape, bool tell_timings) {
    auto conversation = std::make_shared<Conversation>(pool.use(model, request.should_stop), request.path, route,
                                                       request.params, request.body, tell_timings, request.should_stop);
    const Conversation::Head & head = conversation->head();
    if (!head.streams) {
        Answer answer = text_answer(conversation->rest(), head.content_type);
        answer.status = head.status;
        return answer;
    }
    return stream_answer(head.content_type, [conversation, shape](std::string & part) {
        try {
            std::optional<std::string> next = conversation->next();
            if (!next) return false;
            part = std::move(*next);
            return true;
        } catch (const ClientGone &) {
            throw;
        } catch (const std::exception & error) {  // too late for a status
            part = error_event(shape, to_http_error(error));
            return false;
        }
    });
}

}  // namespace shimmy::serve
