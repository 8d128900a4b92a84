#include "bindings/xla_likelihood.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

#include "bindings/xla_call.hpp"
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

void evaluate_log_pmf(const CallFrame& frame) {
  if (frame.arguments.size != 2) throw std::logic_error("there must be two arguments");
  const auto& counts = *static_cast<const Buffer*>(frame.arguments.buffers[0]);
  const auto& concentration = *static_cast<const Buffer*>(frame.arguments.buffers[1]);
  const auto rank = counts.rank;
  if (rank < 1 || concentration.rank != rank || counts.dims[rank - 1] != concentration.dims[rank - 1])
    throw std::logic_error("counts and concentration must have the same number of axes and the same K");
  const Concentrations wide(concentration);
  const auto k_n = static_cast<std::size_t>(counts.dims[rank - 1]);
  std::vector<std::size_t> shape;
  for (std::int64_t d = 0; d + 1 < rank; ++d) {
    const auto x_size = counts.dims[d];
    const auto a_size = concentration.dims[d];
    if (x_size != a_size && x_size != 1 && a_size != 1) throw std::logic_error("the leading axes do not broadcast");
    shape.push_back(static_cast<std::size_t>(x_size == 1 ? a_size : x_size));
  }
  const Rows rows{{counts.data, count_type(counts.type), 0, k_n, 0, 1},
                  wide.data(),
                  1,
                  std::move(shape),
                  leading_strides(counts),
                  leading_strides(concentration)};

  auto results = results_of(frame, concentration.type, rows.size(), k_n);
  const bool coefficient = attribute(frame.attributes, "coefficient") != 0;
  const auto n_threads = static_cast<int>(attribute(frame.attributes, "n_threads"));
  try {
    if (results.size() == 1) {
      log_pmf(rows, coefficient, results[0].data(), n_threads, {});
    } else {
      log_pmf_gradient(rows, coefficient, results[0].data(), results[1].data(), n_threads, {});
    }
  } catch (const std::invalid_argument&) {  // a value
    for (Result& result : results) result.fill_nan();
  }
  for (Result& result : results) result.finish();
}

}  // namespace

Error* log_pmf(CallFrame* frame) noexcept { return answer(frame, evaluate_log_pmf); }

}  // namespace hbm_fast::xla
