#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "core/limits.hpp"
#include "simulation/simulate.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast::bindings {
namespace {

template <class T>
T* data_of(std::optional<Contiguous<T>>& array, std::size_t size, const char* name) {
  if (!array) return nullptr;
  need_size(*array, size, name);
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

// For callers without Python (numba): row `index` of what `dirichlet` and `multinomial` below draw with this key. They
// cannot throw: bad input gives NaN, or -1.
void log_dirichlet_row(std::uint64_t high, std::uint64_t low, std::uint64_t index, const double* concentration,
                       std::int64_t n_categories, double* log_theta) noexcept {
  const auto k = static_cast<std::size_t>(n_categories);
  if (k == 0 || !std::all_of(concentration, concentration + k, [](double a) { return a > 0.0 && std::isfinite(a); })) {
    std::fill_n(log_theta, k, std::numeric_limits<double>::quiet_NaN());
    return;
  }
  for (std::size_t i = 0; i < k; ++i) log_theta[i] = std::max(concentration[i], smallest_concentration);
  Stream stream(Key{high, low}, Site::variate, index);
  log_dirichlet(stream, log_theta, k, log_theta);
}

// `scratch` holds 2 K values.
void multinomial_row(std::uint64_t high, std::uint64_t low, std::uint64_t index, std::int64_t total,
                     const double* weights, std::int64_t n_categories, double* scratch, std::int64_t* counts) noexcept {
  const auto k = static_cast<std::size_t>(n_categories);
  double sum = 0.0;
  bool good = total >= 0 && total <= largest_simulated_total;
  for (std::size_t i = 0; i < k; ++i) {
    good = good && weights[i] >= 0.0;
    sum += weights[i];
  }
  if (!good || !(sum > 0.0) || !std::isfinite(sum)) {
    std::fill_n(counts, k, std::int64_t{-1});
    return;
  }
  Stream stream(Key{high, low}, Site::variate, index, 1);
  multinomial(stream, total, weights, k, scratch, counts);
}

}  // namespace

void register_simulation(py::module_ m) {
  py::class_<BoundSource>(m, "IntegerSource")
      .def(py::init([](std::int64_t low, std::int64_t high) {
             refuse_if(high < low, "low exceeds high");
             return BoundSource{IntegerSource{nullptr, 0, 0, low, high}, {}};
           }),
           py::arg("low"), py::arg("high"), "Uniform on low..high inclusive.")
      .def(py::init([](const Integers& values, std::size_t dataset_stride, std::size_t group_stride) {
             return BoundSource{IntegerSource{values.data(), dataset_stride, group_stride, 0, 0}, values};
           }),
           py::arg("values"), py::arg("dataset_stride"), py::arg("group_stride"),
           "Given values, with strides in elements.");

  m.def(
      "simulate",
      [](const Words& key, std::uint64_t first, const AlphaPrior& alpha, const BetaPrior& beta, bool alpha_given,
         bool beta_given, const BoundSource& n_groups, const BoundSource& totals, std::size_t max_groups,
         Doubles log_alpha, Doubles log_beta, Doubles alpha_out, Doubles beta_out, Integers n_groups_out,
         std::optional<Doubles> log_theta, std::optional<Doubles> theta, std::optional<py::array> counts,
         std::optional<Floats> statistics, int n_threads, std::optional<Doubles> beta_concentration) {
        const auto n = size_of(log_alpha);
        refuse_if(log_beta.ndim() != 2 || extent(log_beta, 0) != n, "log_beta must have shape (B, K)");
        const auto k = extent(log_beta, 1);
        refuse_if(size_of(n_groups_out) != n, "n_groups must have shape (B,)");
        const std::size_t size = n * max_groups * k;
        refuse_if(size_of(alpha_out) != n || size_of(beta_out) != n * k,
                  "alpha and beta must have the shapes of their logs");
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
                                0,
                                data_of(beta_concentration, n, "beta_concentration")};
        refuse_if(!beta_given && beta.values.size() != k, "beta must have K values");
        n_groups.need_values(n, 1, "n_groups");
        totals.need_values(n, max_groups, "totals");
        if (counts) {
          refuse_if(size_of(*counts) != size || !(counts->flags() & py::array::c_style),
                    "counts must be contiguous with shape (B, N, K)");
          need_layout(*counts);
          arrays.counts = counts->mutable_data();
          arrays.count_type = count_type(counts->dtype());
        }
        if (statistics) {
          refuse_if(statistics->ndim() != 3, "statistics must have shape (B, K + 1, J)");
          arrays.max_total = static_cast<std::size_t>(statistics->shape(2));
          arrays.statistics = data_of(statistics, n * (k + 1) * arrays.max_total, "statistics");
        }
        without_gil([&] { simulate(request, arrays, n_threads, poll_signals); });
      },
      py::arg("key"), py::arg("first"), py::arg("alpha"), py::arg("beta"), py::arg("alpha_given"),
      py::arg("beta_given"), py::arg("n_groups"), py::arg("totals"), py::arg("max_groups"), py::arg("log_alpha"),
      py::arg("log_beta"), py::arg("alpha_out"), py::arg("beta_out"), py::arg("n_groups_out"), py::arg("log_theta"),
      py::arg("theta"), py::arg("counts"), py::arg("statistics"), py::arg("n_threads"),
      py::arg("beta_concentration") = py::none(), "Writes datasets first, first + 1, ... into the given arrays.");

  m.def(
      "dirichlet",
      [](const Words& key, const Doubles& concentration, Doubles out, int n_threads) {
        refuse_if(out.ndim() != 2 || concentration.ndim() != 2 || concentration.shape(1) != out.shape(1) ||
                      (concentration.shape(0) != out.shape(0) && concentration.shape(0) != 1),
                  "concentration must have shape (S, K) or (1, K), and out (S, K)");
        const auto n = extent(out, 0);
        const auto k = extent(out, 1);
        if (k == 0) return;  // nothing to write, however many rows
        const std::size_t stride = concentration.shape(0) == 1 ? 0 : k;
        const double* a = concentration.data();
        double* to = out.mutable_data();
        const Key address = to_key(key);
        without_gil([&] {
          parallel_for(
              n, items_per_poll / k, n_threads,
              [&](std::size_t begin, std::size_t end) {
                for (std::size_t i = begin; i < end; ++i) {
                  Stream stream(address, Site::variate, i);
                  log_dirichlet(stream, a + i * stride, k, to + i * k);
                }
              },
              poll_signals);
        });
      },
      py::arg("key"), py::arg("concentration"), py::arg("out"), py::arg("n_threads"),
      "Writes logs of Dirichlet variates.");

  m.def(
      "multinomial",
      [](const Words& key, const Integers& totals, const Doubles& weights, Integers out, int n_threads) {
        refuse_if(out.ndim() != 2 || weights.ndim() != 2 || weights.shape(1) != out.shape(1) ||
                      totals.size() != out.shape(0) || (weights.shape(0) != out.shape(0) && weights.shape(0) != 1),
                  "totals must have shape (S,), weights (S, K) or (1, K), and out (S, K)");
        const auto n = extent(out, 0);
        const auto k = extent(out, 1);
        const std::size_t stride = weights.shape(0) == 1 ? 0 : k;
        const double* w = weights.data();
        const std::int64_t* total = totals.data();
        refuse_if(!std::all_of(total, total + n, [](std::int64_t x) { return x >= 0 && x <= largest_simulated_total; }),
                  "totals must be from 0 to 2,000,000,000");
        refuse_if(k == 0 && std::any_of(total, total + n, [](std::int64_t x) { return x > 0; }),
                  "a total above 0 needs at least one category");
        std::int64_t* to = out.mutable_data();
        const Key address = to_key(key);
        if (k == 0) return;
        without_gil([&] {
          parallel_for(
              n, items_per_poll / k, n_threads,
              [&](std::size_t begin, std::size_t end) {
                std::vector<double> scratch(2 * k);
                for (std::size_t i = begin; i < end; ++i) {
                  Stream stream(address, Site::variate, i, 1);
                  multinomial(stream, total[i], w + i * stride, k, scratch.data(), to + i * k);
                }
              },
              poll_signals);
        });
      },
      py::arg("key"), py::arg("totals"), py::arg("weights"), py::arg("out"), py::arg("n_threads"));

  m.def("log_dirichlet_row_address", [] { return reinterpret_cast<std::uintptr_t>(&log_dirichlet_row); });
  m.def("multinomial_row_address", [] { return reinterpret_cast<std::uintptr_t>(&multinomial_row); });
}

}  // namespace hbm_fast::bindings
