// From the fuzzer's bytes to sizes, numbers and arrays of counts in buffers of exactly the size that a kernel may
// touch, so that AddressSanitizer reports the first element too many.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "core/array_view.hpp"

namespace fuzz {

[[noreturn]] inline void fail(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, what);
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}

  bool empty() const { return left_ == 0; }

  // Zeros once the bytes are used up.
  template <class T>
  T take() {
    T value{};
    const std::size_t n = std::min(left_, sizeof(T));
    if (n > 0) std::memcpy(&value, data_, n);
    data_ += n;
    left_ -= n;
    return value;
  }

  // In low..high, inclusive.
  std::int64_t range(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(take<std::uint32_t>() % static_cast<std::uint64_t>(high - low + 1));
  }

  std::size_t size(std::int64_t low, std::int64_t high) { return static_cast<std::size_t>(range(low, high)); }

  bool flag() { return (take<std::uint8_t>() & 1) != 0; }

  // Positive, from 1e-300 to 1e16, most often near one.
  double positive() {
    static constexpr double values[] = {1e-300, 1e-12, 1e-3, 0.5, 1.0, 2.0, 50.0, 1e8, 1e16};
    const double scale = values[range(0, 8)];
    return std::clamp(scale * (1.0 + static_cast<double>(take<std::uint16_t>()) / 65536.0), 1e-300, 1e16);
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

inline constexpr std::size_t item_sizes[] = {1, 1, 2, 2, 4, 4, 8, 8};  // in the order of CountType

// A (B, N, K) array of counts of any type and any strides: negative, zero (broadcast), padded.
struct CountsArray {
  std::unique_ptr<unsigned char[]> buffer;
  hbm_fast::CountsView view;  // of dataset 0
  std::size_t n_datasets;
  std::ptrdiff_t dataset_stride;
};

// Counts are at most `largest`, so that memory is bounded; `arbitrary` ones are any integers of their type, negative
// ones too.
inline CountsArray counts_array(Input& input, std::size_t max_datasets, std::int64_t largest, bool arbitrary = false) {
  CountsArray result{};
  result.n_datasets = input.size(1, static_cast<std::int64_t>(max_datasets));
  auto& view = result.view;
  view.type = static_cast<hbm_fast::CountType>(input.range(0, 7));
  view.n_rows = input.size(0, 9);
  view.n_categories = input.size(1, 6);
  const std::ptrdiff_t extents[] = {static_cast<std::ptrdiff_t>(result.n_datasets),
                                    static_cast<std::ptrdiff_t>(view.n_rows),
                                    static_cast<std::ptrdiff_t>(view.n_categories)};
  std::ptrdiff_t strides[3];
  if (input.flag()) {  // C order
    strides[2] = 1;
    strides[1] = extents[2];
    strides[0] = extents[1] * extents[2];
  } else {
    for (auto& stride : strides) stride = static_cast<std::ptrdiff_t>(input.range(-8, 8));
  }
  std::ptrdiff_t lowest = 0;
  std::ptrdiff_t highest = 0;
  for (int i = 0; i < 3; ++i) {
    if (extents[i] > 0) (strides[i] < 0 ? lowest : highest) += strides[i] * (extents[i] - 1);
  }
  const bool nothing = view.n_rows == 0;
  const std::size_t items = nothing ? 0 : static_cast<std::size_t>(highest - lowest + 1);
  const std::size_t size = item_sizes[static_cast<std::size_t>(view.type)];
  result.buffer.reset(new unsigned char[std::max<std::size_t>(items * size, 1)]);
  for (std::size_t i = 0; i < items; ++i) {
    std::uint64_t value = 0;
    if (arbitrary) {
      value = input.take<std::uint64_t>();
    } else {
      value = static_cast<std::uint64_t>(input.range(0, largest));
      if (size < 4) value &= (std::uint64_t{1} << (8 * size - 1)) - 1;  // no sign bit
    }
    std::memcpy(result.buffer.get() + i * size, &value, size);  // little-endian, as every machine clang fuzzes on
  }
  view.data = result.buffer.get() + (nothing ? 0 : -lowest) * static_cast<std::ptrdiff_t>(size);
  view.row_stride = strides[1];
  view.category_stride = strides[2];
  result.dataset_stride = strides[0];
  return result;
}

inline std::int64_t count_at(const CountsArray& counts, std::size_t b, std::size_t n, std::size_t k) {
  return hbm_fast::visit(counts.view, [&](auto table) {
    return static_cast<std::int64_t>(
        (table.row(n) + static_cast<std::ptrdiff_t>(b) *
                            counts.dataset_stride)[static_cast<std::ptrdiff_t>(k) * table.category_stride]);
  });
}

// In how many rows of a dataset the count of category k, or the total where k is K, is above j.
inline std::int64_t exceedance(const CountsArray& counts, std::size_t b, std::size_t k, std::int64_t j) {
  const std::size_t n_categories = counts.view.n_categories;
  std::int64_t result = 0;
  for (std::size_t n = 0; n < counts.view.n_rows; ++n) {
    std::int64_t x = 0;
    for (std::size_t c = 0; c < n_categories; ++c) {
      if (c == k || k == n_categories) x += count_at(counts, b, n, c);
    }
    result += x > j;
  }
  return result;
}

// An array of exactly n elements: one too many is seen.
template <class T>
std::unique_ptr<T[]> exact(std::size_t n) {
  return std::unique_ptr<T[]>(new T[n]());
}

}  // namespace fuzz

#define REQUIRE(condition)                                                   \
  do {                                                                       \
    if (!(condition)) fuzz::fail("failed: " #condition, __FILE__, __LINE__); \
  } while (false)
