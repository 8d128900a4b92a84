// Array -> view, and nothing else: the only place that may mention pybind11 is this folder. Arguments are checked for
// people in python/hbm_fast/_validate.py; what is checked here is what could crash.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>

#include "hbm_fast/parallel.hpp"
#include "hbm_fast/prior.hpp"
#include "hbm_fast/stream.hpp"
#include "hbm_fast/view.hpp"

namespace hbm_fast::bindings {

namespace py = pybind11;

using Doubles = py::array_t<double, py::array::c_style>;
using Integers = py::array_t<std::int64_t, py::array::c_style>;
using Words = py::array_t<std::uint64_t, py::array::c_style>;

inline Key to_key(const Words& key) {
  if (key.size() != 2) throw std::invalid_argument("key must hold two uint64 words");
  return {key.data()[0], key.data()[1]};
}

inline void need_size(const py::array& array, std::size_t size, const char* name) {
  if (static_cast<std::size_t>(array.size()) != size) throw std::invalid_argument(std::string(name) + " has the wrong size");
}

inline CountType count_type(const py::dtype& dtype) {
  const bool is_signed = dtype.kind() == 'i';
  if (is_signed || dtype.kind() == 'u') {
    switch (dtype.itemsize()) {
      case 1: return is_signed ? CountType::int8 : CountType::uint8;
      case 2: return is_signed ? CountType::int16 : CountType::uint16;
      case 4: return is_signed ? CountType::int32 : CountType::uint32;
      case 8: return is_signed ? CountType::int64 : CountType::uint64;
      default: break;
    }
  }
  throw py::type_error("counts must have an integer dtype");
}

// A (N, K) array of any integer type and any strides, as it lies in memory.
inline CountsView to_counts(const py::array& counts) {
  if (counts.ndim() != 2) throw std::invalid_argument("counts must have shape (N, K)");
  const auto item = counts.itemsize();
  return {counts.data(), count_type(counts.dtype()), static_cast<std::size_t>(counts.shape(0)),
          static_cast<std::size_t>(counts.shape(1)), counts.strides(0) / item, counts.strides(1) / item};
}

// The offsets and columns of compressed sparse rows fit the values; returns the number of rows.
template <class Index>
std::size_t checked_csr(const py::array& values, const py::array_t<Index, py::array::c_style>& columns,
                        const py::array_t<Index, py::array::c_style>& offsets) {
  if (values.ndim() != 1 || columns.size() != values.size() || offsets.size() < 1) {
    throw std::invalid_argument("the parts of a CSR matrix do not fit each other");
  }
  const Index* at = offsets.data();
  const py::ssize_t n_rows = offsets.size() - 1;
  for (py::ssize_t n = 0; n < n_rows; ++n) {
    if (at[n] < 0 || at[n + 1] < at[n]) throw std::invalid_argument("the offsets of a CSR matrix must not decrease");
  }
  if (at[n_rows] > values.size()) throw std::invalid_argument("the offsets of a CSR matrix exceed its values");
  return static_cast<std::size_t>(n_rows);
}

// Runs on the calling thread inside a kernel that released the GIL: raises KeyboardInterrupt through the kernel.
inline void poll_signals() {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

void register_amortize(py::module_& m);
void register_config(py::module_& m);
void register_dirichlet_multinomial(py::module_& m);
void register_predictive(py::module_& m);
void register_prior(py::module_& m);
void register_simulate(py::module_& m);
void register_variates(py::module_& m);
void register_sampling(py::module_& m);
void register_sufficient_statistics(py::module_& m);

}  // namespace hbm_fast::bindings
