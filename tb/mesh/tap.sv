// Writes every flit that a core puts on its link, with the time, to a file of the core's own.

module tap #(parameter WIDTH = 1) (
  input clk, input [6:0] x, input [6:0] y, input valid, input [WIDTH-1:0] flit
);
  integer file = 0;

  always @(posedge clk)
    if (valid === 1'b1) begin
      if (file == 0)
        file = $fopen($sformatf("tap_%0d_%0d.txt", x, y), "w");
      $fwrite(file, "%0d %h\n", $time, flit);
    end
endmodule
