// Finds what can be computed together in a split.
//
// A pattern may leave an intermediate tensor unwritten only if nothing else in the whole graph reads it, through a view
// either, and it is not marked as an output. Tensors that a graph callback may read (the inputs
// of products) are always written.
#pragma once

#include <initializer_list>

#include "cpu/job.h"
#include "ggml.h"

namespace moe {

// Nodes of a graph, views skipped.
class Nodes {
public:
    explicit Nodes(ggml_cgraph * g);
    int count() const { return n_; }
    ggml_tensor * at(int i) const;  // null past the end
    int next(int i) const;          // the next node after i that computes something; count() at the end
    int find(const ggml_tensor * t, int after,
             int before) const;  // its index, if it is a node between these two, or -1
    // Whether each of these nodes but the last is read by others of them alone, and is no output. Ascending; -1: false.
    bool closed(const int * nodes, int n) const;
    bool closed(std::initializer_list<int> nodes) const {
        return closed(nodes.begin(), static_cast<int>(nodes.size()));
    }

private:
    ggml_cgraph * g_;
    int n_;
};

// MUL_MAT or MUL_MAT_ID, with what follows it if that is a scale per expert and a bias, both of weights.
struct Product {
    ggml_tensor * mm = nullptr;
    ggml_tensor * scale = nullptr;  // [experts] or null
    ggml_tensor * bias = nullptr;   // the bias weights, or null
    ggml_tensor * out = nullptr;    // mm, the MUL or the ADD_ID
    int last = -1;                  // index of `out`
    int64_t first_row = 0;          // of the weights: gate and up may be one product, of twice the rows
    int64_t rows = 0;
};

// One expert or dense FFN; `last` is the index of its last node.
struct Ffn {
    Product gate, up;  // up.mm null: an activation without a gate
    Activation activation;
    ggml_tensor * glu = nullptr;  // the activated products
    Product down;                 // down.mm null: only gate and up were found
    ggml_tensor * slot_weight = nullptr;
    ggml_tensor * out = nullptr;  // what is written last: glu, down.out, the MUL, or the sum
    bool sum = false;
    int last = -1;
};

// Whether two products read the same rows, and group them for as many matrices (experts or heads): what one job can do.
bool same_routing(const Product & a, const Product & b);
bool match_product(const Nodes & n, int i, Product & p);
bool match_ffn(const Nodes & n, int i, Ffn & f);

}  // namespace moe
