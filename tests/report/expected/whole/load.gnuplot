set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
0 50 50 50 ""
1 200 200 200 ""
EOD
$data1 << EOD
0 40 40 40 ""
1 160 160 160 ""
EOD
$data2 << EOD
0 10 10 10 ""
1 40 40 40 ""
EOD
$data3 << EOD
0 80 80 80 ""
1 320 320 320 ""
EOD
$data4 << EOD
0 60 60 60 ""
1 240 240 240 ""
EOD
$data5 << EOD
0 20 20 20 ""
1 80 80 80 ""
EOD
$data6 << EOD
0 90 90 90 ""
1 360 360 360 ""
EOD
$data7 << EOD
0 100 100 100 ""
1 400 400 400 ""
EOD
$data8 << EOD
0 50 50 50 ""
1 200 200 200 ""
EOD
set xlabel "clients"
set xtics ("1" 0, "4" 1)
set xrange [-0.5:1.5]
set ylabel "tokens/s of all clients"
set key outside top center horizontal
plot $data0 using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb "#0072b2" title "Q8_0 baseline", $data1 using 1:2 with linespoints lw 2 pt 5 ps 0.5 lc rgb "#e69f00" title "Q8_0 n_cpu_moe=2", $data2 using 1:2 with linespoints lw 2 pt 9 ps 0.5 lc rgb "#009e73" title "Q8_0 offload", $data3 using 1:2 with linespoints lw 2 pt 13 ps 0.5 lc rgb "#cc79a7" title "Q4_K_M baseline", $data4 using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb "#d55e00" title "Q4_K_M n_cpu_moe=2", $data5 using 1:2 with linespoints lw 2 pt 5 ps 0.5 lc rgb "#56b4e9" title "Q4_K_M offload", $data6 using 1:2 with linespoints lw 2 pt 9 ps 0.5 lc rgb "#0072b2" title "Q2_K baseline", $data7 using 1:2 with linespoints lw 2 pt 13 ps 0.5 lc rgb "#e69f00" title "Q2_K n_cpu_moe=2", $data8 using 1:2 with linespoints lw 2 pt 7 ps 0.5 lc rgb "#009e73" title "Q2_K offload"
</svg>
