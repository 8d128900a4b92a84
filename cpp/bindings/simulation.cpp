#include <pybind11/stl.h>

#include <optional>

#include "bindings/array_arguments.hpp"
#include "simulation/simulate.hpp"

namespace hbm_fast::bindings {
namespace {

template <class T>
T* data_of(std::optional<Contiguous<T>>& array, std::size_t size, const char* name) {
  if (!array) return nullptr;
  if (static_cast<std::size_t>(array->size()) != size)
    throw std::invalid_argument(std::string(name) + " has the wrong size");
  return array->mutable_data();
}

// low, high and given values of shape (), (N,), (B,), (B, N) with their strides in elements; 0 where broadcast.
struct BoundSource {
  IntegerSource source;
  Integers keep;

  void need_values(std::size_t n_datasets, std::size_t n_groups, const char* name) const {
    if (source.values == nullptr || n_datasets == 0 || n_groups == 0) return;
    const auto size = static_cast<unsigned __int128>(keep.size());
    const auto last = static_cast<unsigned __int128>(n_datasets - 1) * source.dataset_stride +
                      static_cast<unsigned __int128>(n_groups - 1) * source.group_stride;
    if (last >= size) throw std::invalid_argument(std::string("the given values of ") + name + " are too few");
  }
};

}  // namespace

void register_simulate(py::module_& m) {
  py::class_<BoundSource>(m, "IntegerSource")
      .def(py::init([](std::int64_t low, std::int64_t high) {
             if (high < low) throw std::invalid_argument("low exceeds high");
             return BoundSource{IntegerSource{nullptr, 0, 0, low, high}, {}};
           }),
           py::arg("low"), py::arg("high"), "Uniform on low..high inclusive.")
      .def(py::init([](const Integers& values, std::size_t dataset_stride, std::size_t group_stride) {
             return BoundSource{IntegerSource{values.data(), dataset_stride, group_stride, 0, 0}, values};
           }),
           py::arg("values").noconvert(), py::arg("dataset_stride"), py::arg("group_stride"),
           "Given values, with strides in elements.");

  m.def(
      "simulate",
      [](const Words& key, std::uint64_t first, const AlphaPrior& alpha, const BetaPrior& beta, bool alpha_given,
         bool beta_given, const BoundSource& n_groups, const BoundSource& totals, std::size_t max_groups,
         Doubles log_alpha, Doubles log_beta, Doubles alpha_out, Doubles beta_out, Integers n_groups_out,
         std::optional<Doubles> log_theta, std::optional<Doubles> theta, std::optional<py::array> counts,
         std::optional<Floats> statistics, int n_threads) {
        const auto n = static_cast<std::size_t>(log_alpha.size());
        if (log_beta.ndim() != 2 || static_cast<std::size_t>(log_beta.shape(0)) != n)
          throw std::invalid_argument("log_beta must have shape (B, K)");
        const auto k = static_cast<std::size_t>(log_beta.shape(1));
        if (static_cast<std::size_t>(n_groups_out.size()) != n)
          throw std::invalid_argument("n_groups must have shape (B,)");
        const std::size_t size = n * max_groups * k;
        if (static_cast<std::size_t>(alpha_out.size()) != n || static_cast<std::size_t>(beta_out.size()) != n * k)
          throw std::invalid_argument("alpha and beta must have the shapes of their logs");
        const SimulationRequest request{
            to_key(key), first, n, max_groups, k, alpha, beta, alpha_given, beta_given, n_groups.source, totals.source};
        SimulationArrays arrays{log_alpha.mutable_data(),
                                log_beta.mutable_data(),
                                alpha_out.mutable_data(),
                                beta_out.mutable_data(),
                                n_groups_out.mutable_data(),
                                data_of(log_theta, size, "log_theta"),
                                data_of(theta, size, "theta"),
                                nullptr,
                                CountType::int32,
                                nullptr,
                                0};
        if (!beta_given && beta.values.size() != k) throw std::invalid_argument("beta must have K values");
        n_groups.need_values(n, 1, "n_groups");
        totals.need_values(n, max_groups, "totals");
        if (counts) {
          if (static_cast<std::size_t>(counts->size()) != size || !(counts->flags() & py::array::c_style))
            throw std::invalid_argument("counts must be contiguous with shape (B, N, K)");
          need_layout(*counts);
          arrays.counts = counts->mutable_data();
          arrays.count_type = count_type(counts->dtype());
        }
        if (statistics) {
          if (statistics->ndim() != 3) throw std::invalid_argument("statistics must have shape (B, K + 1, J)");
          arrays.max_total = static_cast<std::size_t>(statistics->shape(2));
          arrays.statistics = data_of(statistics, n * (k + 1) * arrays.max_total, "statistics");
        }
        without_gil([&] { simulate(request, arrays, n_threads, poll_signals); });
      },
      py::arg("key").noconvert(), py::arg("first"), py::arg("alpha"), py::arg("beta"), py::arg("alpha_given"),
      py::arg("beta_given"), py::arg("n_groups"), py::arg("totals"), py::arg("max_groups"),
      py::arg("log_alpha").noconvert(), py::arg("log_beta").noconvert(), py::arg("alpha_out").noconvert(),
      py::arg("beta_out").noconvert(), py::arg("n_groups_out").noconvert(), py::arg("log_theta").noconvert(),
      py::arg("theta").noconvert(), py::arg("counts").noconvert(), py::arg("statistics").noconvert(),
      py::arg("n_threads"), "Writes datasets first, first + 1, ... into the given arrays.");

  m.def(
      "exceedance_counts",
      [](const py::array& counts, Floats out, int n_threads) {
        if (counts.ndim() != 3) throw std::invalid_argument("counts must have shape (B, N, K)");
        if (out.ndim() != 3 || out.shape(0) != counts.shape(0) || out.shape(1) != counts.shape(2) + 1)
          throw std::invalid_argument("out must have shape (B, K + 1, J)");
        const CountType type = count_type(counts.dtype());
        need_layout(counts);
        const CountsBatch batch{{counts.data(), type, static_cast<std::size_t>(counts.shape(1)),
                                 static_cast<std::size_t>(counts.shape(2)), stride_of(counts, 1), stride_of(counts, 2)},
                                static_cast<std::size_t>(counts.shape(0)),
                                stride_of(counts, 0)};
        float* data = out.mutable_data();
        const auto max_total = static_cast<std::size_t>(out.shape(2));
        without_gil([&] { exceedance_counts(batch, max_total, data, n_threads, poll_signals); });
      },
      py::arg("counts"), py::arg("out").noconvert(), py::arg("n_threads"));
}

}  // namespace hbm_fast::bindings
