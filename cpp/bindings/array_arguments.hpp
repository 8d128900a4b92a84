// Array -> view, and nothing else: the only place that may mention pybind11 is this folder. Arguments are checked for
// people in python/hbm_fast/_validate.py; what is checked here is what could crash.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

#include "core/array_view.hpp"
#include "core/parallel.hpp"
#include "core/stream.hpp"
#include "priors/prior.hpp"

namespace hbm_fast::bindings {

namespace py = pybind11;

// C++ reads an array as it lies in memory: in its own byte order, each item at a multiple of its size.
inline void need_layout(const py::array& array) {
  const py::ssize_t item = array.itemsize();
  bool is_whole = true;
  for (py::ssize_t d = 0; d < array.ndim(); ++d) {
    if (array.shape(d) > 1 && array.strides(d) % item != 0) is_whole = false;
  }
  const bool is_native = array.dtype().byteorder() != (std::endian::native == std::endian::little ? '>' : '<');
  if (array.size() != 0 && !(is_native && is_whole && (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0)) {
    throw std::invalid_argument(
        "an array must be aligned, in the machine's byte order, with strides that are multiples of its item "
        "size; got dtype " +
        py::str(array.dtype()).cast<std::string>() + ", strides " + py::str(array.attr("strides")).cast<std::string>() +
        ": pass array.astype(array.dtype.newbyteorder('='))");
  }
}

// An array of T that is taken as it is, or refused.
template <class T, int flags>
class Array : public py::array_t<T, flags> {
 public:
  using py::array_t<T, flags>::array_t;
};

template <class T>
using Contiguous = Array<T, py::array::c_style>;
template <class T>
using Strided = Array<T, 0>;

using Doubles = Contiguous<double>;
using Floats = Contiguous<float>;
using Integers = Contiguous<std::int64_t>;
using Words = Contiguous<std::uint64_t>;

// Calls take(), which asks for the GIL. In a daemon thread that asks while the interpreter ends, CPython before 3.14
// unwinds the stack to end the thread. The destructors of a kernel and of pybind11 are not made for that, and the
// process is about to exit: the thread waits for it, as with 3.14.
template <class Take>
auto take_gil(Take&& take) {
#ifdef __GLIBCXX__
  try {
    return take();
  } catch (abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
#else
  return take();
#endif
}

// Runs a kernel without the GIL.
template <class Kernel>
void without_gil(Kernel&& kernel) {
  PyThreadState* const state = PyEval_SaveThread();
  std::exception_ptr failure;
  try {
    kernel();
  } catch (...) {
    failure = std::current_exception();
  }
  take_gil([&] { PyEval_RestoreThread(state); });
  if (failure) std::rethrow_exception(failure);
}

// The GIL for a part of a kernel.
class WithGil {
 public:
  WithGil() : state_(take_gil(&PyGILState_Ensure)) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
};

inline void refuse_if(bool bad, const char* message) {
  if (bad) throw std::invalid_argument(message);
}

inline std::size_t size_of(const py::array& array) { return static_cast<std::size_t>(array.size()); }
inline std::size_t extent(const py::array& array, py::ssize_t axis) {
  return static_cast<std::size_t>(array.shape(axis));
}

inline Key to_key(const Words& key) {
  refuse_if(key.size() != 2, "key must hold two uint64 words");
  return {key.data()[0], key.data()[1]};
}

inline void need_size(const py::array& array, std::size_t size, const char* name) {
  if (size_of(array) != size) throw std::invalid_argument(std::string(name) + " has the wrong size");
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

inline std::ptrdiff_t stride_of(const py::array& array, py::ssize_t axis) {
  return array.shape(axis) > 1 ? array.strides(axis) / array.itemsize() : 0;
}

// A (N, K) array of any integer type and any strides, as it lies in memory.
inline CountsView to_counts(const py::array& counts) {
  refuse_if(counts.ndim() != 2, "counts must have shape (N, K)");
  const CountType type = count_type(counts.dtype());
  need_layout(counts);
  return {counts.data(), type, extent(counts, 0), extent(counts, 1), stride_of(counts, 0), stride_of(counts, 1)};
}

// The stored values of a sparse matrix: one row.
inline CountsView to_stored(const py::array& values) {
  refuse_if(values.ndim() != 1, "the values of a CSR matrix must have shape (n,)");
  const CountType type = count_type(values.dtype());
  need_layout(values);
  return {values.data(), type, 1, size_of(values), 0, stride_of(values, 0)};
}

// The offsets and columns of compressed sparse rows fit the values; returns the number of rows.
template <class Index>
std::size_t checked_csr(const py::array& values, const Contiguous<Index>& columns, const Contiguous<Index>& offsets) {
  refuse_if(values.ndim() != 1 || columns.size() != values.size() || offsets.size() < 1,
            "the parts of a CSR matrix do not fit each other");
  const Index* at = offsets.data();
  const py::ssize_t n_rows = offsets.size() - 1;
  for (py::ssize_t n = 0; n < n_rows; ++n) {
    refuse_if(at[n] < 0 || at[n + 1] < at[n], "the offsets of a CSR matrix must not decrease");
  }
  refuse_if(at[n_rows] > values.size(), "the offsets of a CSR matrix exceed its values");
  return static_cast<std::size_t>(n_rows);
}

// Runs on the calling thread inside without_gil: raises KeyboardInterrupt through the kernel.
inline void poll_signals() {
  const WithGil gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
}

// Runs kernel(poll) without the GIL, for long loops; the poll raises KeyboardInterrupt through them.
template <class Kernel>
void without_gil_polled(Kernel&& kernel) {
  without_gil([&] {
    const Poll poll = poll_signals;
    TimedPoll timed_poll(poll);
    kernel(timed_poll);
  });
}

// The poll of a sampler, which is given the share that is done: raises KeyboardInterrupt through the kernel, and calls
// `progress` with the share unless that is None.
inline auto poll_with_progress(const py::object& progress) {
  return [&progress](double share) {
    poll_signals();
    if (progress.is_none()) return;
    const WithGil gil;
    progress(share);
  };
}

// A copy as an array (n,), or of the shape that is given.
template <class T, class Values>
Contiguous<T> filled(const Values& values, std::vector<std::size_t> shape) {
  Contiguous<T> result(std::move(shape));
  std::copy(values.begin(), values.end(), result.mutable_data());
  return result;
}
template <class T, class Values>
Contiguous<T> filled(const Values& values) {
  return filled<T>(values, {values.size()});
}

// Adds a new array of this shape to a result, and returns where a kernel writes it.
template <class T>
T* add_array(py::dict& result, const char* name, std::vector<std::size_t> shape) {
  Contiguous<T> array(std::move(shape));
  result[name] = array;
  return array.mutable_data();
}

// One submodule of _core each.
void register_config(py::module_ m);
void register_likelihood(py::module_ m);
void register_mcmc(py::module_ m);
void register_mixture(py::module_ m);
void register_mixture_multinomial(py::module_ m);  // into the same submodule, as the next
void register_mixture_sampler(py::module_ m);
void register_networks(py::module_ m);
void register_population(py::module_ m);
void register_prediction(py::module_ m);
void register_priors(py::module_ m);
void register_regression(py::module_ m);
void register_simulation(py::module_ m);
void register_statistics(py::module_ m);

}  // namespace hbm_fast::bindings

namespace pybind11::detail {

template <class T, int flags>
struct pyobject_caster<hbm_fast::bindings::Array<T, flags>> {
  using Type = hbm_fast::bindings::Array<T, flags>;
  // the type that stubs name: an array of exactly this type, with or without py::arg().noconvert()
  PYBIND11_TYPE_CASTER(Type, const_name("numpy.typing.NDArray[") + npy_format_descriptor<T>::name + const_name("]"));

  bool load(handle source, bool) {
    if (!isinstance<array>(source)) return false;
    const auto given = reinterpret_borrow<array>(source);
    const auto wanted = dtype::of<T>();
    if (given.dtype().kind() != wanted.kind() || given.itemsize() != wanted.itemsize()) return false;
    hbm_fast::bindings::need_layout(given);
    if ((given.flags() & flags) != flags) {
      throw std::invalid_argument("an array must be C-contiguous; got strides " +
                                  str(given.attr("strides")).cast<std::string>());
    }
    value = reinterpret_borrow<Type>(source);
    return true;
  }

  static handle cast(const handle& source, return_value_policy, handle) { return source.inc_ref(); }
};

}  // namespace pybind11::detail
