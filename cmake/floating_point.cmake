# What every object of ours is compiled with. Value-changing maths flags are refused: they would set flush-to-zero in
# the user's whole process, and they break the -inf that a log-likelihood needs. Contraction is off: the random
# branches of the simulator round alike on every instruction set, and every compiler rounds alike; products are fused
# only by cpp/math/multiply_add.inl.
if(CMAKE_CXX_FLAGS MATCHES "-f[f]ast-math|-O[f]ast|-funsafe-math-optimizations|-ffinite-math-only")
  message(FATAL_ERROR "hbm_fast: refuse to build with value-changing maths flags: ${CMAKE_CXX_FLAGS}")
endif()

# The sanitizers need no vector code, and GCC takes four times as long to vectorise what they have instrumented; their
# traces need lines, not variables, which cost a fifth of the time. Fuzzers
# run longer than they compile.
if(HBM_FAST_SANITIZER STREQUAL "OFF" OR HBM_FAST_BUILD_FUZZERS)
  set(hbm_release_flags -O3)
else()
  set(hbm_release_flags -O1)
endif()

function(hbm_fast_contract target)
  if(MSVC)
    target_compile_options(${target} PRIVATE /fp:precise /W4)
  else()
    target_compile_options(${target} PRIVATE
      $<$<CONFIG:Release>:${hbm_release_flags}> -fno-math-errno -fno-trapping-math -ffp-contract=off -Wall -Wextra -Wshadow)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${target} PRIVATE -fopenmp-simd)  # reductions only; no runtime is linked
    endif()
    if(HBM_FAST_WERROR)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
  if(HBM_FAST_BUILD_FUZZERS)  # the fuzzer steers by the edges that the kernels take
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link -g1)
  endif()
  if(HBM_FAST_SANITIZER STREQUAL "ADDRESS")
    target_compile_options(${target} PRIVATE -fsanitize=address,undefined -fno-sanitize-recover=all -g1)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  elseif(HBM_FAST_SANITIZER STREQUAL "THREAD")
    target_compile_options(${target} PRIVATE -fsanitize=thread -g1)
    target_link_options(${target} PRIVATE -fsanitize=thread)
  endif()
endfunction()
