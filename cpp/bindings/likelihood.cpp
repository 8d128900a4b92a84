#include "bindings/array_arguments.hpp"
#include "bindings/xla_likelihood.hpp"
#include "likelihood/log_pmf.hpp"

namespace hbm_fast::bindings {
namespace {

using StridedDoubles = Strided<double>;

// Arrays that Python has broadcast to the same leading axes, or one concentration for all; axes that lie one behind the
// other in both are joined.
Rows to_rows(const py::array& counts, const StridedDoubles& concentration) {
  const auto axes = counts.ndim() - 1;
  const bool is_one = concentration.ndim() == 1;
  refuse_if(axes < 0 || (!is_one && concentration.ndim() != counts.ndim()),
            "counts and concentration must have the same number of axes");
  Rows rows;
  const CountType type = count_type(counts.dtype());
  need_layout(counts);
  rows.counts = {counts.data(), type, 0, extent(counts, axes), 0, stride_of(counts, axes)};
  rows.concentration = concentration.data();
  rows.concentration_category_stride = stride_of(concentration, is_one ? 0 : axes);
  for (py::ssize_t d = 0; d <= axes; ++d) {
    const auto own = d == axes && is_one ? 0 : d;
    refuse_if((d == axes || !is_one) && counts.shape(d) != concentration.shape(own),
              "counts and concentration must have the same shape");
    if (d == axes || counts.shape(d) == 1) continue;
    const auto size = counts.shape(d);
    const auto x = stride_of(counts, d);
    const auto a = is_one ? 0 : stride_of(concentration, d);
    if (!rows.shape.empty() && rows.counts_strides.back() == x * size &&
        rows.concentration_strides.back() == a * size) {
      rows.shape.back() *= static_cast<std::size_t>(size);
      rows.counts_strides.back() = x;
      rows.concentration_strides.back() = a;
    } else {
      rows.shape.push_back(static_cast<std::size_t>(size));
      rows.counts_strides.push_back(x);
      rows.concentration_strides.push_back(a);
    }
  }
  return rows;
}

template <class Index>
void sparse_log_pmf(const py::array& values, const Contiguous<Index>& columns, const Contiguous<Index>& offsets,
                    const Doubles& concentration, bool coefficient, Doubles out, int n_threads) {
  refuse_if(checked_csr(values, columns, offsets) != size_of(out), "out has the wrong size");
  refuse_if(concentration.ndim() != 2 || (concentration.shape(0) != 1 && concentration.shape(0) != out.size()),
            "concentration must have shape (1, K) or (N, K)");
  const SparseRows<Index> rows{to_stored(values),
                               columns.data(),
                               offsets.data(),
                               size_of(out),
                               extent(concentration, 1),
                               concentration.data(),
                               concentration.shape(0) == 1 ? 0 : concentration.shape(1)};
  double* values_out = out.mutable_data();
  without_gil([&] { log_pmf(rows, coefficient, values_out, n_threads, poll_signals); });
}

}  // namespace

void register_likelihood(py::module_ m) {
  m.def("log_pmf_rows_address", [] { return reinterpret_cast<std::uintptr_t>(&log_pmf_rows); });
  m.def("log_pmf_group_address", [] { return reinterpret_cast<std::uintptr_t>(&log_pmf_group); });
  m.def("log_pmf_xla_address", [] { return reinterpret_cast<std::uintptr_t>(&xla::log_pmf); });
  m.def(
      "log_pmf",
      [](const py::array& counts, const StridedDoubles& concentration, bool coefficient, Doubles out, int n_threads) {
        const Rows rows = to_rows(counts, concentration);
        need_size(out, rows.size(), "out");
        double* values = out.mutable_data();
        without_gil([&] { log_pmf(rows, coefficient, values, n_threads, poll_signals); });
      },
      py::arg("counts"), py::arg("concentration"), py::arg("coefficient"), py::arg("out"), py::arg("n_threads"),
      "Writes the log pmf of every row.");
  m.def(
      "log_pmf_gradient",
      [](const py::array& counts, const StridedDoubles& concentration, bool coefficient, Doubles out, Doubles gradient,
         int n_threads) {
        const Rows rows = to_rows(counts, concentration);
        need_size(out, rows.size(), "out");
        need_size(gradient, rows.size() * rows.counts.n_categories, "gradient");
        double* values = out.mutable_data();
        double* slopes = gradient.mutable_data();
        without_gil([&] { log_pmf_gradient(rows, coefficient, values, slopes, n_threads, poll_signals); });
      },
      py::arg("counts"), py::arg("concentration"), py::arg("coefficient"), py::arg("out"), py::arg("gradient"),
      py::arg("n_threads"), "Writes the log pmf of every row and its gradient.");
  m.def("sparse_log_pmf", &sparse_log_pmf<std::int32_t>, py::arg("values"), py::arg("columns"), py::arg("offsets"),
        py::arg("concentration"), py::arg("coefficient"), py::arg("out"), py::arg("n_threads"),
        "Writes the log pmf of every row of CSR counts; concentration is (1, K) or (N, K).");
  m.def("sparse_log_pmf", &sparse_log_pmf<std::int64_t>, py::arg("values"), py::arg("columns"), py::arg("offsets"),
        py::arg("concentration"), py::arg("coefficient"), py::arg("out"), py::arg("n_threads"));
}

}  // namespace hbm_fast::bindings
