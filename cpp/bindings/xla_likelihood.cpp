#include "bindings/xla_likelihood.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "likelihood/log_pmf.hpp"

namespace hbm_fast::xla {
namespace {

CountType count_type(int type) {
  switch (type) {
    case int8: return CountType::int8;
    case int16: return CountType::int16;
    case int32: return CountType::int32;
    case int64: return CountType::int64;
    case uint8: return CountType::uint8;
    case uint16: return CountType::uint16;
    case uint32: return CountType::uint32;
    case uint64: return CountType::uint64;
    default: throw std::logic_error("counts must be integers");
  }
}

std::int64_t attribute(const Attributes& attributes, const char* name) {
  for (std::int64_t i = 0; i < attributes.size; ++i) {
    const Name& found = *attributes.names[i];
    if (found.size != std::strlen(name) || std::memcmp(found.data, name, found.size) != 0) continue;
    const auto& scalar = *static_cast<const Scalar*>(attributes.values[i]);
    if (scalar.type == int64) return *static_cast<const std::int64_t*>(scalar.value);
  }
  throw std::logic_error("an attribute is missing: " + std::string(name));
}

std::size_t size_of(const Buffer& buffer) {
  std::size_t size = 1;
  for (std::int64_t d = 0; d < buffer.rank; ++d) size *= static_cast<std::size_t>(buffer.dims[d]);
  return size;
}

// Strides of the leading axes of a contiguous buffer; 0 where it has one entry.
std::vector<std::ptrdiff_t> leading_strides(const Buffer& buffer) {
  std::vector<std::ptrdiff_t> strides(static_cast<std::size_t>(buffer.rank - 1));
  std::ptrdiff_t stride = buffer.dims[buffer.rank - 1];
  for (std::int64_t d = buffer.rank - 2; d >= 0; --d) {
    strides[static_cast<std::size_t>(d)] = buffer.dims[d] == 1 ? 0 : stride;
    stride *= buffer.dims[d];
  }
  return strides;
}

// The doubles of a result: its own memory, or, for float32, a copy that `finish` rounds into it.
class Result {
 public:
  explicit Result(const Buffer& buffer) : buffer_(buffer), size_(size_of(buffer)) {
    if (buffer.type == float32) copy_.resize(size_);
  }
  double* data() { return buffer_.type == float32 ? copy_.data() : static_cast<double*>(buffer_.data); }
  std::size_t size() const { return size_; }
  void finish() {
    auto* const out = static_cast<float*>(buffer_.data);
    if (buffer_.type == float32) std::ranges::transform(copy_, out, [](double x) { return static_cast<float>(x); });
  }

 private:
  const Buffer& buffer_;
  std::size_t size_;
  std::vector<double> copy_;
};

void evaluate(const CallFrame& frame) {
  if (frame.arguments.size != 2 || frame.results.size < 1 || frame.results.size > 2)
    throw std::logic_error("there must be two arguments and one or two results");
  const auto& counts = *static_cast<const Buffer*>(frame.arguments.buffers[0]);
  const auto& concentration = *static_cast<const Buffer*>(frame.arguments.buffers[1]);
  const auto rank = counts.rank;
  if (rank < 1 || concentration.rank != rank || counts.dims[rank - 1] != concentration.dims[rank - 1])
    throw std::logic_error("counts and concentration must have the same number of axes and the same K");
  if (concentration.type != float32 && concentration.type != float64)
    throw std::logic_error("concentration must be float32 or float64");

  std::vector<double> wide;
  const auto* a = static_cast<const double*>(concentration.data);
  if (concentration.type == float32) {
    const auto* const single = static_cast<const float*>(concentration.data);
    wide.assign(single, single + size_of(concentration));
    a = wide.data();
  }
  const auto k_n = static_cast<std::size_t>(counts.dims[rank - 1]);
  std::vector<std::size_t> shape;
  for (std::int64_t d = 0; d + 1 < rank; ++d) {
    const auto x_size = counts.dims[d];
    const auto a_size = concentration.dims[d];
    if (x_size != a_size && x_size != 1 && a_size != 1) throw std::logic_error("the leading axes do not broadcast");
    shape.push_back(static_cast<std::size_t>(x_size == 1 ? a_size : x_size));
  }
  const Rows rows{{counts.data, count_type(counts.type), 0, k_n, 0, 1},
                  a,
                  1,
                  std::move(shape),
                  leading_strides(counts),
                  leading_strides(concentration)};

  std::vector<Result> results;
  for (std::int64_t r = 0; r < frame.results.size; ++r) {
    const auto& buffer = *static_cast<const Buffer*>(frame.results.buffers[r]);
    results.emplace_back(buffer);
    if (buffer.type != concentration.type || results.back().size() != rows.size() * (r == 0 ? 1 : k_n))
      throw std::logic_error("a result has the wrong type or size");
  }
  const bool coefficient = attribute(frame.attributes, "coefficient") != 0;
  const auto n_threads = static_cast<int>(attribute(frame.attributes, "n_threads"));
  try {
    if (results.size() == 1) {
      log_pmf(rows, coefficient, results[0].data(), n_threads, {});
    } else {
      log_pmf_gradient(rows, coefficient, results[0].data(), results[1].data(), n_threads, {});
    }
  } catch (const std::invalid_argument&) {  // a value
    for (Result& result : results) std::fill_n(result.data(), result.size(), std::numeric_limits<double>::quiet_NaN());
  }
  for (Result& result : results) result.finish();
}

}  // namespace

Error* log_pmf(CallFrame* frame) noexcept {
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
