// What the functions that XLA calls have in common: attributes, shapes, results, and the answer to its question before
// the first call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "bindings/xla_interface.hpp"

namespace hbm_fast::xla {

inline std::int64_t attribute(const Attributes& attributes, const char* name) {
  for (std::int64_t i = 0; i < attributes.size; ++i) {
    const Name& found = *attributes.names[i];
    if (found.size != std::strlen(name) || std::memcmp(found.data, name, found.size) != 0) continue;
    const auto& scalar = *static_cast<const Scalar*>(attributes.values[i]);
    if (scalar.type == int64) return *static_cast<const std::int64_t*>(scalar.value);
  }
  throw std::logic_error("an attribute is missing: " + std::string(name));
}

inline std::size_t size_of(const Buffer& buffer) {
  std::size_t size = 1;
  for (std::int64_t d = 0; d < buffer.rank; ++d) size *= static_cast<std::size_t>(buffer.dims[d]);
  return size;
}

// The doubles of an argument: its own memory, or, of float32, a copy.
class Concentrations {
 public:
  explicit Concentrations(const Buffer& buffer) : data_(static_cast<const double*>(buffer.data)) {
    if (buffer.type != float32 && buffer.type != float64)
      throw std::logic_error("concentration must be float32 or float64");
    if (buffer.type == float64) return;
    const auto* const single = static_cast<const float*>(buffer.data);
    copy_.assign(single, single + size_of(buffer));
    data_ = copy_.data();
  }
  const double* data() const { return data_; }

 private:
  std::vector<double> copy_;
  const double* data_;
};

// The doubles of a result: its own memory, or, for float32, a copy that `finish` rounds into it.
class Result {
 public:
  Result(const Buffer& buffer, int type, std::size_t size) : buffer_(buffer), size_(size) {
    if (buffer.type != type || size_of(buffer) != size) throw std::logic_error("a result has the wrong type or size");
    if (buffer.type == float32) copy_.resize(size_);
  }
  double* data() { return buffer_.type == float32 ? copy_.data() : static_cast<double*>(buffer_.data); }
  void fill_nan() { std::fill_n(data(), size_, std::numeric_limits<double>::quiet_NaN()); }
  void finish() {
    auto* const out = static_cast<float*>(buffer_.data);
    if (buffer_.type == float32) std::ranges::transform(copy_, out, [](double x) { return static_cast<float>(x); });
  }

 private:
  const Buffer& buffer_;
  std::size_t size_;
  std::vector<double> copy_;
};

// One or two results: n values, and n gradients of K.
inline std::vector<Result> results_of(const CallFrame& frame, int type, std::size_t n, std::size_t n_categories) {
  if (frame.results.size < 1 || frame.results.size > 2) throw std::logic_error("there must be one or two results");
  std::vector<Result> results;
  for (std::int64_t r = 0; r < frame.results.size; ++r)
    results.emplace_back(*static_cast<const Buffer*>(frame.results.buffers[r]), type, n * (r == 0 ? 1 : n_categories));
  return results;
}

// Runs evaluate(frame), or states the version of the interface where XLA asks for it. An exception becomes its error.
template <class Evaluate>
Error* answer(CallFrame* frame, const Evaluate& evaluate) noexcept {
  if (frame->extension != nullptr && frame->extension->type == metadata_extension) {  // before the first call
    Metadata& metadata = *reinterpret_cast<MetadataExtension*>(frame->extension)->metadata;
    metadata.version.major = version_major;
    metadata.version.minor = version_minor;
    return nullptr;
  }
  try {
    evaluate(*frame);
    return nullptr;
  } catch (const std::exception& error) {
    ErrorArguments arguments{sizeof(ErrorArguments), nullptr, error.what(), invalid_argument};
    return frame->api->create_error(&arguments);
  }
}

}  // namespace hbm_fast::xla
