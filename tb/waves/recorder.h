// Waves of chosen blocks that are stepped (tb/flow/stepped.py), as one file of Verilator's.
//
// What stands at the time of cycle c are the values that the edge at its end acts upon. A block's
// inputs are set and settled in the middle of the cycle (settle); the first block that is stepped
// at the edge has the state of all of them written (edge).
#pragma once

#include <cstdlib>
#include <string>

#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using WaveFile = VerilatedFstC;
#else
#include "verilated_vcd_c.h"
using WaveFile = VerilatedVcdC;
#endif

class Recorder {
  // Blocks that are recorded are the only ones in it. A new context becomes the thread's own: it is
  // made when there is another to go back to, and never deleted.
  VerilatedContext* context = nullptr;
  WaveFile file;
  bool open = false, on = false;
  long long written = -1;

 public:
  // At the end of the simulation: not by a destructor, which comes after those of Verilator.
  void close() {
    on = false;
    if (open) file.close();
    open = false;
  }

  // Whether a block is to be recorded: its place below the top is among those of the variable.
  static bool wants(const std::string& name) {
    const char* list = std::getenv("OUROBOROS_WAVES");
    const std::string below = name.substr(name.find('.') + 1);
    return list && (" " + std::string{list} + " ").find(" " + below + " ") != std::string::npos;
  }

  // A block, in a context of its own kind: a file holds the blocks of one context.
  template <class Block>
  Block* make(const std::string& name) {
    VerilatedContext* const before = Verilated::threadContextp();
    if (!context) {
      context = new VerilatedContext;
      context->traceEverOn(true);
    }
    Block* const block = new Block{context, name.c_str()};
    Verilated::threadContextp(before);
    return block;
  }

  void record(bool now_on) {
    on = now_on && context;
    if (on && !open) {
      context->trace(&file, 99);
      file.open(VM_TRACE_FST ? "waves.fst" : "waves.vcd");
      open = true;
    }
    if (!on && open) file.flush();
  }

  bool recording() const { return on; }

  void edge(long long cycle, long long period_ps) {
    if (!on || cycle == written || cycle == 0) return;
    written = cycle;
    file.dump(static_cast<uint64_t>((cycle - 1) * period_ps));
  }
};
