// Non-owning views of the caller's arrays: a kernel reads and writes the elements of its views, and no others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace hbm_fast {

// The integer types counts are read in, as they lie in memory.
enum class CountType : std::uint8_t { int8, uint8, int16, uint16, int32, uint32, int64, uint64 };

// A strided table of counts: N rows (groups) of K categories. Strides are in elements and may be zero (broadcast).
template <class T>
struct TypedCounts {
  const T* data;
  std::size_t n_rows;
  std::size_t n_categories;
  std::ptrdiff_t row_stride;
  std::ptrdiff_t category_stride;

  const T* row(std::size_t n) const { return data + static_cast<std::ptrdiff_t>(n) * row_stride; }
  T at(std::size_t n, std::size_t k) const { return row(n)[static_cast<std::ptrdiff_t>(k) * category_stride]; }
};

struct CountsView {
  const void* data;
  CountType type;
  std::size_t n_rows;
  std::size_t n_categories;
  std::ptrdiff_t row_stride;
  std::ptrdiff_t category_stride;

  template <class T>
  TypedCounts<T> as() const {
    return {static_cast<const T*>(data), n_rows, n_categories, row_stride, category_stride};
  }
};

// Calls f(TypedCounts<T>) with the type the counts are stored in.
template <class F>
decltype(auto) visit(const CountsView& counts, F&& f) {
  switch (counts.type) {
    case CountType::int8: return f(counts.as<std::int8_t>());
    case CountType::uint8: return f(counts.as<std::uint8_t>());
    case CountType::int16: return f(counts.as<std::int16_t>());
    case CountType::uint16: return f(counts.as<std::uint16_t>());
    case CountType::int32: return f(counts.as<std::int32_t>());
    case CountType::uint32: return f(counts.as<std::uint32_t>());
    case CountType::int64: return f(counts.as<std::int64_t>());
    case CountType::uint64: return f(counts.as<std::uint64_t>());
  }
  throw std::invalid_argument("unknown count type");
}

}  // namespace hbm_fast
