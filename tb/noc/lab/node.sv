// Body of a node of the traffic laboratory: a source and a sink of packets, and their counters.
// tb/noc/lab/node.py puts the module's header and constants before it; README.md explains.

localparam WORDS = FLIT_BITS / 32;
localparam FLIT = FLIT_BITS + VC_BITS + 2;

// Settings (table SETTINGS); addresses are those of tb.noc.lab.node.Setting.
reg run, drawn_destination, in_turn;
reg [63:0] source_state, sink_state;
reg [24:0] packet_limit, stall_limit, way_limit, multicast_limit;
reg [7:0] fixed_destination, width;
reg [8:0] nodes;
reg [3:0] length_min;
reg [4:0] lengths, ordered_limit;
reg [31:0] window_start, window_end, stop;
reg [6:0] label;
reg [8:0] members;
reg [15:0] trace_end;
// Tables: by destination {alive, channels, way}; by source {it has groups without me, in a group of
// it}; packets of a trace, as TRACE_ENTRY of tb/noc/lab/node.py has them.
reg [22:0] routes [0:255];
reg [1:0] group [0:255];
reg [58:0] trace [0:TRACE - 1];
reg [58:0] traced;

// Source. Cycles before ``drawn`` have had their chance of a packet; the packets of later ones are
// the unbounded queue, drawn when their turn comes.
reg [31:0] now, drawn, made;
reg waiting, sending;
reg [7:0] destination;
reg [3:0] length, index;
reg ordered, multicast;
reg [13:0] way;
reg [15:0] trace_at;
reg [VC_BITS - 1:0] channel, last_channel;
reg [$clog2(DEPTH + 1) - 1:0] credits [0:CHANNELS - 1];
reg [15:0] serials [0:511];
reg [15:0] serial, group_serial;
reg [HEADER_BITS - 1:0] header;
reg [FLIT_BITS - 1:0] payload;
reg [63:0] state, extra;

// Sink, by channel: the open packet.
reg [CHANNELS - 1:0] open;
reg [HEADER_BITS - 1:0] heads [0:CHANNELS - 1];
reg [3:0] indices [0:CHANNELS - 1];
reg [$clog2(DEPTH + 1) - 1:0] owed [0:CHANNELS - 1];
reg [15:0] expected [0:255], expected_group [0:255], bases [0:255];
reg [SEEN - 1:0] seen [0:255];
reg stalled;

reg [63:0] counts [0:COUNTS - 1];
reg [31:0] histogram [0:BINS - 1];

integer i, n, turn;
reg found;
reg [VC_BITS - 1:0] vc;
reg [FLIT_BITS - 1:0] data;
reg head, tail;
reg [7:0] from;
reg [15:0] number_in, ahead;
reg [31:0] latency, routers, shortest, dx, dy, sx, sy, mx, my, wx, wy;
reg [2:0] class_sent, class_came;
reg [CHANNELS - 1:0] usable;
reg [31:0] mixed;

function [63:0] step(input [63:0] old);
  reg [63:0] s;
  begin
    s = old ^ (old << 13);
    s = s ^ (s >> 7);
    step = s ^ (s << 17);
  end
endfunction

function [FLIT_BITS - 1:0] payload_of(input [7:0] source, input [15:0] serial_, input kept,
                                      input [3:0] place);
  integer w;
  reg [31:0] word;
  begin
    word = {place, source, serial_, kept, 3'b101} * 32'h9E3779B1;
    for (w = 0; w < WORDS; w = w + 1) payload_of[32 * w +: 32] = word ^ (w * 32'h11111111);
  end
endfunction

task wrong(input [3:0] what);
  begin
    if (counts[ERRORS] == 0)
      counts[FIRST_ERROR] = {now, what, heads[vc][SRC_X +: 7], heads[vc][SRC_Y +: 7],
                             {(8 - VC_BITS){1'b0}}, vc};
    counts[ERRORS] = counts[ERRORS] + 1;
  end
endtask

function [2:0] class_of(input [VC_BITS - 1:0] channel_);
  class_of = channel_ < CLASS1 ? 0 : channel_ < TRANSIT ? 1 : channel_ < CONTROL ? 2 : 3;
endfunction

reg [FLIT - 1:0] flit_q;
reg valid_q;
reg [CHANNELS - 1:0] credit_q;
reg [63:0] value_q;
assign link_out__valid = valid_q;
assign link_out__flit = flit_q;
assign link_in__credit = credit_q;
assign value = value_q;

wire mine = write__valid & (write__node == number | write__node[8]);

always @(posedge clk) begin
  if (rst) begin
    {run, packet_limit, stall_limit, way_limit, multicast_limit, ordered_limit, stop} = 0;
    {now, drawn, waiting, sending, trace_at, trace_end, last_channel, group_serial, open} = 0;
    {stalled, members, window_start, window_end, label} = 0;
    for (i = 0; i < CHANNELS; i = i + 1) begin
      credits[i] = DEPTH;
      owed[i] = 0;
    end
    for (i = 0; i < 256; i = i + 1) begin
      {expected[i], expected_group[i], bases[i], seen[i], group[i]} = 0;
      {serials[2 * i], serials[2 * i + 1]} = 0;
    end
    for (i = 0; i < COUNTS; i = i + 1) counts[i] = 0;
    for (i = 0; i < BINS; i = i + 1) histogram[i] = 0;
    valid_q <= 0;
    credit_q <= 0;
    value_q <= 0;
  end else begin
    if (mine) case (write__table)
      SETTINGS: case (write__address)
        0: run = write__data;
        1: source_state = write__data;
        2: sink_state = write__data;
        3: packet_limit = write__data;
        4: {in_turn, drawn_destination, fixed_destination} = write__data;
        5: {lengths, length_min} = write__data;
        6: stall_limit = write__data;
        7: window_start = write__data;
        8: window_end = write__data;
        9: ordered_limit = write__data;
        10: {nodes, width} = write__data;
        11: way_limit = write__data;
        12: multicast_limit = write__data;
        13: {members, label} = write__data;
        14: trace_end = write__data;
        15: stop = write__data;
        default: ;
      endcase
      ROUTES: routes[write__address] = write__data;
      GROUP: group[write__address] = write__data;
      TRACES: trace[write__address] = write__data;
      default: ;
    endcase
    value_q <= 0;
    if (read__valid & ~read__address[14] & (read__node == number | read__node[8]))
      value_q <= read__address[15] ? histogram[read__address[14:0]] : counts[read__address];

    // Credits of the router.
    if (link_out__credit != 0)
      for (i = 0; i < CHANNELS; i = i + 1)
        if (link_out__credit[i]) credits[i] = credits[i] + 1;

    // Source: the next packet, if there is one.
    if (run & ~waiting) begin
      if (trace_end != 0) begin
        if (trace_at != trace_end & trace[trace_at][31:0] <= now) begin
          traced = trace[trace_at];
          made = traced[TRACE_CYCLE +: 32];
          length = traced[TRACE_LENGTH +: 4];
          destination = traced[TRACE_DESTINATION +: 8];
          trace_at = trace_at + 1;
          ordered = ordered_limit[4];
          state = 0;
          waiting = 1;
        end
        drawn = trace_at == trace_end ? now + 1 : trace[trace_at][31:0];
      end
      else while (~waiting & drawn <= now & drawn < stop) begin
        source_state = step(source_state);
        if (source_state[23:0] < packet_limit) begin
          waiting = 1;
          made = drawn;
          // In 32 bits: products must not be cut to the width of what they are assigned to.
          mixed = source_state[43:24] * nodes;
          destination = drawn_destination ? mixed >> 20 : fixed_destination;
          if (in_turn)
            fixed_destination = fixed_destination + 1 == nodes ? 0 : fixed_destination + 1;
          mixed = source_state[59:44] * lengths;
          length = length_min + (mixed >> 16);
          ordered = source_state[63:60] < ordered_limit;
          state = source_state;
        end
        drawn = drawn + 1;
      end
      if (waiting) begin
        index = 0;
        multicast = 0;
        way = routes[destination][13:0];
        if (trace_end != 0) begin
          multicast = traced[TRACE_MULTICAST];
          if (multicast) begin
            ordered = 1;
            label = traced[TRACE_WAY +: 7];
            members = destination + 1;
          end
          else way = traced[TRACE_WAY +: 14];
        end
        extra = step(state * 64'h9E3779B97F4A7C15);
        if (trace_end == 0 & extra[23:0] < multicast_limit) begin
          multicast = 1;
          ordered = 1;
          if (length > MULTICAST_PAYLOAD) length = MULTICAST_PAYLOAD;
        end
        else if (trace_end == 0) begin
          // An ordered flow has one way.
          if (ordered) extra = step({number, destination, 1'b1} * 64'h9E3779B97F4A7C15);
          // On class 2 the way is an address in the routers' tables.
          if (extra[23:0] < way_limit & ~(TRANSIT != CONTROL & routes[destination][14 + TRANSIT]))
          begin
            mixed = extra[43:24] * nodes;
            mixed = mixed >> 20;
            way = {7'd1 + 7'(mixed / width), 7'd1 + 7'(mixed % width)};
          end
        end
        if (~multicast & ~routes[destination][22]) begin
          waiting = 0;
          counts[REFUSED] = counts[REFUSED] + 1;
        end
        else if (made >= window_start & made < window_end) begin
          counts[MEASURED] = counts[MEASURED] + (multicast ? members : 1);
          counts[OFFERED] = counts[OFFERED] + length + 1;
        end
      end
    end

    // Source: one flit.
    valid_q <= 0;
    if (waiting & ~sending) begin
      // Ordered flows have a channel of their own among those allowed; others take turns.
      usable = multicast ? (1 << CLASS1) - 1 : routes[destination][21:14];
      n = 0;
      for (i = 0; i < CHANNELS; i = i + 1) n = n + usable[i];
      turn = n == 0 ? 0 : (number + destination) % n;
      found = 0;
      for (i = 0; i < CHANNELS; i = i + 1)
        if (ordered) begin
          if (usable[i]) begin
            if (turn == 0 & credits[i] != 0) begin
              found = 1;
              channel = i;
            end
            turn = turn - 1;
          end
        end else begin
          n = last_channel + 1 + i;
          if (n >= CHANNELS) n = n - CHANNELS;
          if (~found & usable[n] & credits[n] != 0) begin
            found = 1;
            channel = n;
          end
        end
      if (multicast) begin
        channel = 0;
        found = credits[0] != 0;
      end
      if (found) begin
        sending = 1;
        last_channel = channel;
        if (multicast) begin
          serial = group_serial;
          group_serial = group_serial + 1;
        end else begin
          serial = serials[{ordered, destination}];
          serials[{ordered, destination}] = serial + 1;
        end
        header = 0;
        header[DST_X +: 7] = 1 + destination % width;
        header[DST_Y +: 7] = 1 + destination / width;
        if (class_of(channel) != 1) header[WAY_X +: 14] = multicast ? 0 : way;
        header[SRC_X +: 7] = 1 + number % width;
        header[SRC_Y +: 7] = 1 + number / width;
        header[VC +: 3] = channel;
        header[LENGTH +: 4] = length;
        header[LABEL +: 7] = multicast ? label : 0;
        header[ORDERED] = ordered;
        header[SERIAL +: 16] = serial;
        header[MADE +: 32] = made;
        header[WAITED +: 16] = now - made > 16'hffff ? 16'hffff : now - made;
        counts[SENT] = counts[SENT] + (multicast ? members : 1);
      end
    end
    if (sending & credits[channel] != 0) begin
      credits[channel] = credits[channel] - 1;
      valid_q <= 1;
      flit_q <= {index == length, index == 0, channel,
                 index == 0 ? {{(FLIT_BITS - HEADER_BITS){1'b0}}, header}
                            : payload_of(number, serial, ordered, index)};
      if (now >= window_start & now < window_end) counts[INJECTED] = counts[INJECTED] + 1;
      if (index == length) {sending, waiting} = 0;
      index = index + 1;
    end

    // Sink: checks and counts what comes.
    if (link_in__valid) begin
      {tail, head, vc, data} = link_in__flit;
      owed[vc] = owed[vc] + 1;
      if (owed[vc] > DEPTH) wrong(OVERRUN);
      if (now >= window_start & now < window_end) counts[ACCEPTED] = counts[ACCEPTED] + 1;
      if (head != ~open[vc]) wrong(MIXED);
      if (head) begin
        heads[vc] = data[HEADER_BITS - 1:0];
        indices[vc] = 0;
        open[vc] = 1;
      end
      header = 0;
      sx = heads[vc][SRC_X +: 7] - 1;
      sy = heads[vc][SRC_Y +: 7] - 1;
      from = sx + width * sy;
      if (~head & data != payload_of(from, heads[vc][SERIAL +: 16], heads[vc][ORDERED], indices[vc]))
        wrong(PAYLOAD);
      if (tail != (indices[vc] == heads[vc][LENGTH +: 4])) wrong(LENGTHS);
      indices[vc] = indices[vc] + 1;
      if (tail) begin
        open[vc] = 0;
        counts[RECEIVED] = counts[RECEIVED] + 1;
        number_in = heads[vc][SERIAL +: 16];
        mx = number % width;
        my = number / width;
        class_sent = class_of(heads[vc][VC +: 3]);
        class_came = class_of(vc);
        if (heads[vc][LABEL +: 7] != 0) begin
          if (~group[from][0]) wrong(MISROUTED);
          ahead = number_in - expected_group[from];
          if (group[from][1] ? ahead[15] : ahead != 0) wrong(ORDER);
          expected_group[from] = number_in + 1;
        end else begin
          if (heads[vc][DST_X +: 7] != mx + 1 | heads[vc][DST_Y +: 7] != my + 1) wrong(MISROUTED);
          if (class_came != (class_sent[0] == class_sent[1] & heads[vc][WAY_X +: 14] != 0
                             ? 1 : class_sent)
              | (heads[vc][ORDERED] & class_came == class_sent & class_came != 2
                 & vc != heads[vc][VC +: 3])) wrong(CHANNEL);
          if (heads[vc][ORDERED]) begin
            counts[IN_ORDER] = counts[IN_ORDER] + 1;
            if (number_in != expected[from]) wrong(ORDER);
            expected[from] = number_in + 1;
          end else begin
            ahead = number_in - bases[from];
            if (ahead >= SEEN) wrong(ahead[15] ? TWICE : TOO_LATE);
            else begin
              if (seen[from][ahead]) wrong(TWICE);
              seen[from][ahead] = 1;
              while (seen[from][0]) begin
                seen[from] = seen[from] >> 1;
                bases[from] = bases[from] + 1;
              end
            end
          end
        end
        counts[BY_CLASS + class_came] = counts[BY_CLASS + class_came] + 1;
        if (heads[vc][MADE +: 32] >= window_start & heads[vc][MADE +: 32] < window_end) begin
          latency = now - heads[vc][MADE +: 32];
          // By the waypoint, if there was one.
          wx = sx;
          wy = sy;
          if (heads[vc][LABEL +: 7] == 0 & class_came == 1 & heads[vc][WAY_X +: 14] != 0) begin
            wx = heads[vc][WAY_X +: 7] - 1;
            wy = heads[vc][WAY_Y +: 7] - 1;
          end
          dx = (sx > wx ? sx - wx : wx - sx) + (wx > mx ? wx - mx : mx - wx);
          dy = (sy > wy ? sy - wy : wy - sy) + (wy > my ? wy - my : my - wy);
          shortest = 3 + 2 * (dx + dy) + heads[vc][LENGTH +: 4];
          counts[DONE] = counts[DONE] + 1;
          counts[LATENCY] = counts[LATENCY] + latency;
          counts[NETWORK] = counts[NETWORK] + latency - heads[vc][WAITED +: 16];
          counts[ROUTERS] = counts[ROUTERS] + dx + dy + 1;
          if (latency > counts[LATENCY_MAX]) counts[LATENCY_MAX] = latency;
          if (latency > shortest & latency - shortest > counts[EXCESS_MAX])
            counts[EXCESS_MAX] = latency - shortest;
          if (latency < shortest) counts[TOO_FAST] = counts[TOO_FAST] + 1;
          histogram[latency < BINS ? latency : BINS - 1] =
            histogram[latency < BINS ? latency : BINS - 1] + 1;
        end
      end
    end

    // Sink: credits, unless it stalls.
    stalled = 0;
    if (run & stall_limit != 0) begin
      sink_state = step(sink_state);
      stalled = sink_state[23:0] < stall_limit;
    end
    if (link_in__valid | credit_q != 0 | stall_limit != 0)
      for (i = 0; i < CHANNELS; i = i + 1) begin
        credit_q[i] <= ~stalled & owed[i] != 0;
        if (~stalled & owed[i] != 0) owed[i] = owed[i] - 1;
      end

    if (run) now = now + 1;
    counts[CAUGHT_UP] = ~(waiting & made < window_end) & (drawn >= window_end | drawn >= stop);
    counts[QUIET] = ~waiting & ~link_in__valid
                    & (trace_end != 0 ? trace_at == trace_end : drawn >= stop);
  end
end

endmodule
