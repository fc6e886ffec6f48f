set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
49.5 0.002 0.002 0.002 ""
79.2 0.01 0.01 0.01 ""
99 0.2 0.2 0.2 ""
EOD
$data1 << EOD
9.9 0.002 0.0019 0.0021 "Q8_0"
19.8 0.01 0.0095 0.0105 "Q4_K_M"
49.5 0.2 0.19 0.21 "Q2_K"
EOD
$data2 << EOD
99 0.2 0.19 0.21 "Q2_K"
EOD
$data3 << EOD
39.6 0.002 0.0019 0.0021 "Q8_0"
59.4 0.01 0.0095 0.0105 "Q4_K_M"
EOD
$data4 << EOD
49.5 0.002 0.0019 0.0021 "Q8_0"
79.2 0.01 0.0095 0.0105 "Q4_K_M"
EOD
$data5 << EOD
89.1 0.2 0.19 0.21 "Q2_K"
EOD
set xlabel "decode rate, tokens/s"
set xrange [0:*]
set offsets graph 0, graph 0.1, 0, 0
set ylabel "mean KL divergence from the original"
set logscale y
set yrange [1.570e-04:1.000e+00]
set format y "%g"
set ytics add ("0" 2.512e-04)
set key outside top center horizontal
plot $data0 using 1:2 with lines lw 1.5 lc rgb "#9aa3b2" title "Pareto front", $data1 using 1:2:3:4 with yerrorbars pt 8 ps 1.2 lw 1.5 lc rgb "#009e73" title "offload", $data1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data2 using 1:2:3:4 with yerrorbars pt 5 ps 1.2 lw 1.5 lc rgb "#e69f00" title "N=2", $data2 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data3 using 1:2:3:4 with yerrorbars pt 4 ps 1.2 lw 1.5 lc rgb "#e69f00" notitle, $data3 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data4 using 1:2:3:4 with yerrorbars pt 7 ps 1.2 lw 1.5 lc rgb "#0072b2" title "baseline", $data4 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle, $data5 using 1:2:3:4 with yerrorbars pt 6 ps 1.2 lw 1.5 lc rgb "#0072b2" notitle, $data5 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
