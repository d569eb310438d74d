// Body of the loader of hw.core.preload.Preload; hw/core/preload.py puts the module's header and the
// sizes (BYTES, UNIT_BITS, ADDRESS_BITS, DATA_BITS) before it. Records of the file are BYTES long,
// {unit, address, data} from the top.

// The core's clock goes on for a while after the last entry, as it does after a packet.
localparam NAP_CYCLES = 63;

reg [8 * BYTES - 1:0] read = 0, entry = 0;
reg opened = 0, started = 0;
reg writing = 0, ended = 0, finished = 0;
reg [5:0] nap = NAP_CYCLES;
integer file = 0;
reg [8 * 32 - 1:0] name;

assign awake = started & ~finished;
assign o__valid = writing | i__valid;
assign o__unit = writing ? entry[ADDRESS_BITS + DATA_BITS +: UNIT_BITS] : i__unit;
assign o__address = writing ? entry[DATA_BITS +: ADDRESS_BITS] : i__address;
assign o__data = writing ? entry[DATA_BITS - 1:0] : i__data;

always @(posedge clk) if (!opened && !rst && x != 0) begin
  opened <= 1;
  $sformat(name, "core_%0d_%0d.image", x, y);
  file = $fopen(name, "rb");
  started <= file != 0;
end

// The bus belongs to the clock of its readers.
always @(posedge awake_clk) if (awake) begin
  writing <= 0;
  if (ended) begin
    nap <= nap - 1;
    finished <= nap == 0;
  end else if ($fread(read, file) == BYTES) begin
    writing <= 1;
    entry <= read;      // readers of the bus still see the one before
  end else begin
    ended <= 1;
    $fclose(file);
  end
end

endmodule
