// Body of the behavioural twin of hw.cim.macro.Macro; hw/cim/macro_twin.py puts the module's header
// and the sizes (ROWS, OUTPUTS, ACTIVE_ROWS, ROWS_TOGETHER, LANES) before it. Ports behave as those of the macro in
// every cycle; the products of a command are all computed in the last cycle that it uses the array.

localparam GROUPS = ROWS / ACTIVE_ROWS;
localparam GROUP_BITS = $clog2(GROUPS);
localparam PAIRS = OUTPUTS / 2;
localparam BEATS = OUTPUTS / LANES;
localparam WORD_BYTES = 4 * LANES;
localparam WORDS = (ROWS + WORD_BYTES - 1) / WORD_BYTES;
localparam WORD_GROUPS = WORD_BYTES / ACTIVE_ROWS < GROUPS ? WORD_BYTES / ACTIVE_ROWS : GROUPS;

// Two outputs share 64 bits, as low + high * 2**32: one multiplication and one addition serve both.
reg [63:0] weights [0:ROWS * PAIRS - 1];
reg [63:0] products [0:PAIRS - 1];
reg [31:0] accumulators [0:OUTPUTS - 1];
reg [8 * WORD_BYTES - 1:0] operands [0:2 * WORDS - 1];
reg [GROUPS - 1:0] valid_0, valid_1;

// Two sets of drain registers: the one not shown is filled, then shown.
reg [32 * LANES - 1:0] drains [0:2 * BEATS - 1];
reg [LANES - 1:0] drains_valid [0:2 * BEATS - 1];
reg shown, full_q, active_q;

// The command that uses the array: cycles left, with the present one.
reg [GROUP_BITS + 3:0] left;
reg run, bank, first, last;
reg [GROUPS - 1:0] chosen;
reg [31:0] offset;
reg [OUTPUTS - 1:0] columns;

// Ends of commands on their way to the accumulators: {columns, last, first, run, end}.
reg [OUTPUTS + 3:0] tree, serial, commit;

wire hold = commit[0] & commit[3] & full_q & ~take;
assign cmd__ready = ~hold & (left <= 1);
assign full = full_q;
assign active = active_q;
wire [31:0] place = (BEATS > 1 ? beat : 0) + (shown ? BEATS : 0);
assign sums = drains[place];
assign lanes_valid = drains_valid[place];

integer i, p, g, r, row, base, begin_group, end_group;
reg signed [63:0] operand;
reg [63:0] pair;
reg [31:0] low, high;
reg [GROUPS - 1:0] selected, loaded;
reg [8 * WORD_BYTES - 1:0] word;

initial begin
  for (i = 0; i < ROWS * PAIRS; i = i + 1) weights[i] = 0;
  for (i = 0; i < 2 * WORDS; i = i + 1) operands[i] = 0;
  for (i = 0; i < 2 * BEATS; i = i + 1) begin
    drains[i] = 0;
    drains_valid[i] = 0;
  end
  for (i = 0; i < OUTPUTS; i = i + 1) accumulators[i] = 0;
  for (i = 0; i < PAIRS; i = i + 1) products[i] = 0;
  {valid_0, valid_1, shown, full_q, active_q, left, run} = 0;
  {bank, first, last, chosen, offset, columns, tree, serial, commit} = 0;
  {p, g, r, row, base, begin_group, end_group} = 0;
  {operand, pair, low, high, selected, loaded, word} = 0;
end

always @(posedge clk) begin
  active_q <= run & ~hold;
  if (take) full_q <= 0;

  if (~hold & (commit[0] | serial[0] | tree[0] | (left != 0))) begin
    // Accumulate: the products of this command were computed three cycles ago.
    if (commit[0]) begin
      /* verilator unroll_disable */
      for (p = 0; p < PAIRS; p = p + 1) begin
        pair = products[p];
        low = (commit[2] ? 0 : accumulators[2 * p]) + (commit[1] ? pair[31:0] : 0);
        high = (commit[2] ? 0 : accumulators[2 * p + 1])
               + (commit[1] ? pair[63:32] + {31'b0, pair[31]} : 0);
        accumulators[2 * p] = low;
        accumulators[2 * p + 1] = high;
      end
      if (commit[3]) begin
        /* verilator unroll_disable */
        for (i = 0; i < OUTPUTS; i = i + 1) begin
          base = i / LANES + (shown ? 0 : BEATS);
          drains[base][32 * (i % LANES) +: 32] = commit[4 + i] ? accumulators[i] : 0;
          drains_valid[base][i % LANES] = commit[4 + i];
        end
        shown <= ~shown;
        full_q <= 1;
      end
    end
    commit <= serial;
    serial <= tree;
    tree <= {columns, last, first, run, left == 1};

    if (left != 0) left <= left - 1;
    if (left == 1) run <= 0;
    if (left == 1 && run) begin
      /* verilator unroll_disable */
      for (p = 0; p < PAIRS; p = p + 1) products[p] = 0;
      // Unrolled, these loops would be megabytes of C++ at paper scale.
      /* verilator unroll_disable */
      for (g = 0; g < GROUPS; g = g + 1) begin
        if (chosen[g]) begin
          /* verilator unroll_disable */
          for (r = 0; r < ACTIVE_ROWS; r = r + 1) begin
            row = g * ACTIVE_ROWS + r;
            word = operands[row / WORD_BYTES + (bank ? WORDS : 0)];
            operand = $signed(word[8 * (row % WORD_BYTES) +: 8]);
            base = ((row + offset * ACTIVE_ROWS) % ROWS) * PAIRS;
            if (operand != 0)
              for (p = 0; p < PAIRS; p = p + 1)
                products[p] = products[p] + weights[base + p] * operand;
          end
        end
      end
    end
  end

  if (cmd__valid & cmd__ready) begin
    begin_group = (cmd__payload >> (1 + GROUP_BITS)) & (GROUPS - 1);
    end_group = begin_group + ((cmd__payload >> (1 + 2 * GROUP_BITS)) & (2 * GROUPS - 1));
    selected = 0;
    base = 0;
    for (g = 0; g < GROUPS; g = g + 1)
      if (g >= begin_group && g < end_group && (cmd__payload[0] ? valid_1[g] : valid_0[g])) begin
        selected[g] = 1;
        base = base + 8;
      end
    bank <= cmd__payload[0];
    offset <= ((cmd__payload >> 1) & (GROUPS - 1)) + GROUPS - begin_group;
    chosen <= selected;
    left <= base == 0 ? 1 : base;
    run <= base != 0;
    first <= cmd__payload[2 + 3 * GROUP_BITS];
    last <= cmd__payload[3 + 3 * GROUP_BITS];
    columns <= cmd__payload[4 + 3 * GROUP_BITS +: OUTPUTS];
  end

  if (operand__en | operand__clear) begin
    loaded = operand__bank ? valid_1 : valid_0;
    if (operand__clear) loaded = 0;
    if (operand__en) begin
      /* verilator unroll_disable */
      for (i = 0; i < WORD_BYTES; i = i + 1)
        word[8 * i +: 8] = operand__mask[i] ? operand__data[8 * i +: 8] : 0;
      operands[(WORDS > 1 ? operand__index : 0) + (operand__bank ? WORDS : 0)] = word;
      for (g = 0; g < WORD_GROUPS; g = g + 1)
        loaded[(WORDS > 1 ? operand__index : 0) * WORD_GROUPS + g]
          = |operand__mask[ACTIVE_ROWS * g +: ACTIVE_ROWS];
    end
    if (operand__bank) valid_1 <= loaded;
    else valid_0 <= loaded;
  end

  if (write__en) begin
    /* verilator unroll_disable */
    for (r = 0; r < ROWS_TOGETHER; r = r + 1) begin
      if (write__column || r == write__row % ROWS_TOGETHER) begin
        base = (write__row - write__row % ROWS_TOGETHER + r) * PAIRS;
        /* verilator unroll_disable */
        for (p = 0; p < PAIRS; p = p + 1) begin
          pair = weights[base + p];
          low = write__mask[2 * p]
                ? {{24{write__data[8 * ((2 * p) ^ r) + 7]}}, write__data[8 * ((2 * p) ^ r) +: 8]}
                : pair[31:0];
          high = write__mask[2 * p + 1]
                 ? {{24{write__data[8 * ((2 * p + 1) ^ r) + 7]}},
                    write__data[8 * ((2 * p + 1) ^ r) +: 8]}
                 : pair[63:32] + {31'b0, pair[31]};
          weights[base + p] = {high - {31'b0, low[31]}, low};
        end
      end
    end
  end

  if (rst) begin
    /* verilator unroll_disable */
    for (i = 0; i < 2 * BEATS; i = i + 1) begin
      drains[i] = 0;
      drains_valid[i] = 0;
    end
    for (i = 0; i < OUTPUTS; i = i + 1) accumulators[i] = 0;
    {valid_0, valid_1, full_q, active_q, left, run} <= 0;
    {first, last, tree, serial, commit} <= 0;
  end
end

endmodule
