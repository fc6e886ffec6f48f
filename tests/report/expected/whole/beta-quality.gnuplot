set encoding utf8
set terminal svg size 760,400 font "Helvetica,13" noenhanced background rgb "white"
set border 3 lc rgb "#5d6675"
set tics nomirror
set grid ytics lc rgb "#dfe3ea" lt 1
set style fill solid noborder
$data0 << EOD
25 0 0 0 ""
EOD
$data1 << EOD
25 0 0 0 "MXFP4_MOE"
EOD
set xlabel "file size, GiB"
set xrange [0:*]
set offsets graph 0, graph 0.1, 0, 0
set ylabel "mean KL divergence from the original"
set yrange [0:1]
set key outside top center horizontal
plot $data0 using 1:2 with points pt 7 lc rgb "#9aa3b2" title "Pareto front", $data1 using 1:2:3:4 with yerrorbars pt 7 ps 1.2 lw 1.5 lc rgb "#0072b2" notitle, $data1 using 1:2:5 with labels offset 0.8,0.6 left font ",10" notitle
</svg>
