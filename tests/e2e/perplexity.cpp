// llama-perplexity with all of its output: its last figures are written by a thread that llama.cpp's own main function
// does not wait for, so that on a busy machine they are lost.
#include <log.h>

int llama_perplexity(int argc, char ** argv);

int main(int argc, char ** argv) {
    const int result = llama_perplexity(argc, argv);
    common_log_flush(common_log_main());
    return result;
}
